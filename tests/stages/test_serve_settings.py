"""From the `serve` section to what the HTTP layer allows, and whom it knows."""

import pytest

from fireact_ray.core.errors import InputError
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.serving.keys import Keys, line_of, new_key
from fireact_ray.stages.serve_settings import keys_of, settings_of


def served(*overrides: str):
    return load_recipe("demo", [f"serve.{override}" for override in overrides])


def test_limits_of_the_recipe_are_those_of_the_server():
    limits = ("per_question={max_steps: 3, max_tokens: 90}", "per_key={requests_per_minute: 7, concurrency: 2}")
    recipe = served(*limits, "request_timeout_s=30", "max_ongoing_requests=5", "max_queued_requests=2", "faults=true")
    settings = settings_of(recipe, {"fireact/demo": 5})
    assert (settings.max_steps, settings.max_tokens, settings.max_seconds) == (3, 90, 30)
    assert (settings.requests_per_minute, settings.concurrency, settings.max_in_flight) == (7, 2, 7)
    assert (settings.faults, settings.created["fireact/demo"]) == (True, 5)


def test_a_server_on_loopback_answers_by_its_names_and_one_on_the_network_by_any_but_where_names_are_given():
    assert "127.0.0.1" in settings_of(served(), {}).allowed_hosts
    assert settings_of(served("host=0.0.0.0", "api_key_env=K"), {}).allowed_hosts == ("*",)
    named = served("host=0.0.0.0", "api_key_env=K", "allowed_hosts=[agents.example.org]")
    assert settings_of(named, {}).allowed_hosts == ("agents.example.org",)


def test_others_are_answered_where_a_key_is_asked_for_or_a_name_is_given_by_which_they_come():
    assert settings_of(served(), {}).only_this_machine
    assert not settings_of(served("api_key_env=K"), {}).only_this_machine
    assert not settings_of(served("keys_file=keys"), {}).only_this_machine
    assert not settings_of(served("allowed_hosts=[agents.example.org]"), {}).only_this_machine


def test_the_page_begins_with_questions_of_the_task_where_they_are_here(tmp_path):
    assert len(settings_of(served(), {}).page.examples) == 3
    elsewhere = load_recipe("demo", ["task={name: hotpotqa, path: /not/here}"])
    assert settings_of(elsewhere, {}).page.examples == ()


def test_keys_are_read_where_they_are_named(tmp_path, monkeypatch):
    key = new_key()
    (tmp_path / "keys").write_text(line_of("alice", key) + "\n")
    monkeypatch.setenv("SERVE_TEST_KEY", "k-0123456789")
    assert keys_of(served().serve) is None
    one = keys_of(served("api_key_env=SERVE_TEST_KEY").serve)
    several = keys_of(served(f"keys_file={tmp_path}/keys").serve)
    assert isinstance(one, Keys)
    assert (one.name_of("k-0123456789"), one.name_of("other")) == ("SERVE_TEST_KEY", None)
    assert several.name_of(key) == "alice"
    with pytest.raises(InputError, match="SERVE_TEST_OTHER, which is not set"):
        keys_of(served("api_key_env=SERVE_TEST_OTHER").serve)
