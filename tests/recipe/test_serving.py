"""The `serve` section: what it refuses, and that it is stored as ever where nothing of it is used."""

import pytest
import yaml

from fireact_ray.core.errors import RecipeError
from fireact_ray.recipe.loader import load_recipe, parse_recipe, to_yaml
from fireact_ray.recipe.serving import ServeConfig

AS_EVER = {
    "host": "127.0.0.1",
    "port": 8000,
    "api_key_env": None,
    "replicas": 1,
    "max_ongoing_requests": 32,
    "request_timeout_s": 120.0,
    "use_gpu": False,
}


def served(**settings) -> ServeConfig:
    return parse_recipe("r", yaml.safe_dump({"name": "r", "serve": settings})).serve


def test_a_recipe_that_uses_none_of_the_newer_settings_is_stored_as_ever():
    assert yaml.safe_load(to_yaml(load_recipe("released")))["serve"] == AS_EVER


def test_what_is_used_is_stored_and_read_again():
    recipe = load_recipe("demo", ["serve.systems=[base, finetuned]", "serve.engine={max_replicas: 4}"])
    stored = yaml.safe_load(to_yaml(recipe))["serve"]
    assert stored["systems"] == ["base", "finetuned"]
    assert stored["engine"]["max_replicas"] == 4
    assert set(stored["engine"]) == {
        *("min_replicas", "max_replicas", "target_ongoing_requests", "max_replicas_per_node")  # and no delay
    }
    assert set(stored) == {*AS_EVER, "systems", "engine"}
    assert parse_recipe("r", to_yaml(recipe)).serve == recipe.serve


def test_a_question_ends_before_the_proxy_gives_up_on_it():
    config = served(request_timeout_s=30)
    assert config.proxy_timeout_s == 40


def test_so_many_wait_as_are_at_work_where_nothing_else_is_said():
    assert served(max_ongoing_requests=5).max_queued == 5
    assert served(max_ongoing_requests=5, max_queued_requests=2).max_queued == 2


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"systems": []}, "name at least one"),
        ({"systems": ["base", "base"]}, "named more than once: base"),
        ({"systems": [{"kind": "run", "name": "x", "path": "runs/x"}]}, "'x' is of kind run, which has no agent"),
        ({"systems": [{"kind": "teacher", "name": "t", "model": {"kind": "scripted"}}]}, "'t' is a scripted teacher"),
        ({"engine": {"min_replicas": 3, "max_replicas": 2}}, r"min_replicas \(3\) may be at most max_replicas \(2\)"),
        ({"engine": {"min_replica": 3}}, "min_replica"),
        ({"host": "0.0.0.0"}, "reachable by others: set serve.api_key_env or serve.keys_file"),
        ({"api_key_env": "K", "keys_file": "keys"}, "one key.*or keys_file"),
    ],
)
def test_what_cannot_be_served_is_refused(settings, problem):
    with pytest.raises(RecipeError, match=problem):
        served(**settings)


def test_a_file_of_keys_opens_the_network():
    assert served(host="0.0.0.0", keys_file="keys").keys_file.endswith("/keys")
