"""A Serve config: as it is written for a recipe, as Serve's own tool builds it, and as it is checked."""

import json
import re
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml
from click.testing import CliRunner
from ray.serve.schema import ServeDeploySchema
from ray.serve.scripts import build as serve_build

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.net.rpc_wire import Address
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.stages.actors.own_work import OwnWork, by_own_work
from fireact_ray.stages.actors.search_ring import chosen
from fireact_ray.stages.application import BuildArgs, application, served_systems
from fireact_ray.stages.serve_config import check_serve_config, to_serve_yaml, unknown_keys
from fireact_ray.stages.serve_progress import explained

pytestmark = pytest.mark.ray

CLUSTER = Path(__file__).parents[2] / "cluster" / "serve"


def written(folder: Path, text: str) -> Path:
    path = folder / "serve.yaml"
    path.write_text(text)
    return path


def test_the_config_of_a_recipe_is_one_that_serve_takes_whole(tmp_path):
    overrides = ["serve.systems=[base]", "serve.port=8123", "serve.request_timeout_s=50"]
    text = to_serve_yaml(load_recipe("demo", overrides), "demo", overrides)
    assert check_serve_config(written(tmp_path, text)) == "fireact at /"
    data = yaml.safe_load(text)
    assert data["http_options"] == {"host": "127.0.0.1", "port": 8123, "request_timeout_s": 60.0}
    (app,) = data["applications"]
    assert BuildArgs.model_validate(app["args"]) == BuildArgs(recipe="demo", overrides=overrides)


@pytest.mark.parametrize("file", sorted(CLUSTER.glob("*.yaml")), ids=lambda file: file.name)
def test_the_shipped_configs_hold_no_key_that_serve_would_drop(file):
    assert check_serve_config(file) == "fireact at /"


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("route_prefix", "route_prefixes", r"applications\.0\.route_prefixes: Serve has no such key.*'route_prefix'\?"),
        ("request_timeout_s", "request_timeout", r"http_options\.request_timeout: Serve has no such key"),
        ("overrides", "override", r"serve\.yaml: args\.override: Extra inputs are not permitted"),
        ("recipe: demo", "recipes: demo", r"serve\.yaml: args\.recipe: Field required"),
        ("130.0", "120.0", r"http_options\.request_timeout_s: 120; leave the proxy more time than .*\(120\)"),
        ("[base]", "[bases]", r"serve\.systems\.0: unknown system"),
        ("host: 127.0.0.1", "host: 10.0.0.7", r"http_options\.host: 10\.0\.0\.7; without a key only this machine"),
        ("host: 127.0.0.1", "root_path: ''", r"http_options\.host: 0\.0\.0\.0; without a key only this machine"),
    ],
)
def test_a_misspelt_key_is_a_problem(tmp_path, old, new, problem):
    text = to_serve_yaml(load_recipe("demo", ["serve.systems=[base]"]), "demo", ["serve.systems=[base]"])
    assert old in text
    with pytest.raises(InputError, match=problem):
        check_serve_config(written(tmp_path, text.replace(old, new)))


def test_a_recipe_that_only_the_head_has_is_not_checked_and_that_is_said(tmp_path):
    text = to_serve_yaml(load_recipe("demo"), "/shared/my.yaml", [])
    said = check_serve_config(written(tmp_path, text))
    assert said == "fireact at /; its recipe '/shared/my.yaml' is not on this machine and was not checked"


def test_what_a_replica_met_is_said_as_it_is_and_what_serve_met_in_its_words():
    failed = RuntimeError("Deploying application fireact failed: Failed to update the deployments ['engine'].")
    of_engine = "It failed 3 times. Error:\nTraceback\nfireact_ray.core.errors.DataError: The base differs.\nmore"
    ours = explained(failed, ["", of_engine])
    assert (type(ours), str(ours)) == (DataError, "The base differs.")
    other = explained(RuntimeError("Deploying failed:\n\nno room\n"), [])
    assert (type(other), str(other)) == (InputError, "Ray Serve could not start the application: no room")
    theirs = explained(failed, ["It failed 3 times. Error:\nTraceback\nImportError: no torch\n", ""])
    assert str(theirs) == "Ray Serve could not start the application: ImportError: no torch"


def test_keys_of_deployments_and_their_scaling_are_checked_too():
    deployment = {"name": "engine", "num_replica": 2, "autoscaling_config": {"max_replica": 3}}
    found = list(unknown_keys({"applications": [{"deployments": [deployment]}]}, ServeDeploySchema))
    assert [problem.split(":")[0] for problem in found] == [
        "applications.0.deployments.0.num_replica",
        "applications.0.deployments.0.autoscaling_config.max_replica",
    ]


def test_what_serve_build_writes_passes_too(tmp_path, monkeypatch):
    recipe = tmp_path / "r.yaml"
    engine = "{max_replicas: 4, max_replicas_per_node: 1, downscale_delay_s: 60}"
    recipe.write_text(f"name: r\nserve: {{systems: [base], engine: {engine}, api_key_env: SERVE_TEST_KEY}}\n")
    monkeypatch.setenv("FIREACT_RECIPE", str(recipe))
    monkeypatch.setenv("SERVE_TEST_KEY", "k-0123456789")
    built = tmp_path / "built.yaml"
    done = CliRunner().invoke(serve_build, ["fireact_ray.stages.application:app", "-o", str(built)])
    assert done.exit_code == 0, done.output
    assert check_serve_config(built) == "app1 at /"
    recipe.write_text("name: r\nserve: {systems: [base]}\n")
    with pytest.raises(
        InputError, match=r"http_options\.host: 0\.0\.0\.0; without a key only this machine is answered"
    ):
        check_serve_config(built)
    monkeypatch.delenv("FIREACT_RECIPE")
    assert "its recipe '$FIREACT_RECIPE' is not on this machine" in check_serve_config(built)
    deployments = {one["name"]: one for one in yaml.safe_load(built.read_text())["applications"][0]["deployments"]}
    assert set(deployments) == {"agent", "engine", "search"}
    scaling = deployments["engine"]["autoscaling_config"]
    assert (scaling["max_replicas"], scaling["downscale_delay_s"]) == (4, 60)
    assert deployments["engine"]["max_replicas_per_node"] == 1
    assert deployments["agent"]["graceful_shutdown_timeout_s"] > 120 + 10  # a question and the proxy's grace


def test_systems_of_one_model_share_its_engine_and_a_played_teacher_is_refused():
    systems = "[base, {kind: model, name: again, path: nano}, {kind: model, name: far, path: %s}]"
    from fireact_ray.core.paths import NANO_DIR

    found = served_systems(load_recipe("demo", [f"serve.systems={systems % NANO_DIR}"]))
    assert [system.model_id for system in found] == ["fireact/demo-base", "fireact/demo-again", "fireact/demo-far"]
    assert {system.engine for system in found} == {"engine"}
    with pytest.raises(InputError, match="'teacher' is a scripted teacher"):
        application(load_recipe("demo", ["serve.systems=[teacher]"]))


def test_where_nothing_is_trained_the_way_to_serve_the_base_is_named(tmp_path):
    with pytest.raises(InputError, match=r"Run `fireact train` first. Or serve the base .*systems=\[base\]"):
        served_systems(load_recipe("demo", [f"output_dir={tmp_path}"]))


def test_a_query_stays_at_its_replica_when_another_one_comes_or_goes():
    three = [Address("10.0.0.1", port, "t") for port in (1, 2, 3)]
    queries = [f"query {n}" for n in range(600)]
    before = {query: chosen(query, three) for query in queries}
    assert all(150 < list(before.values()).count(address) < 250 for address in three)
    after = {query: chosen(query, three[:2]) for query in queries}
    assert all(after[query] == before[query] for query in queries if before[query] in three[:2])


def test_search_and_engine_scale_by_what_is_at_work_in_all_replicas():
    config = SimpleNamespace(target_ongoing_requests=16.0)
    assert by_own_work(SimpleNamespace(config=config, aggregated_metrics={"at_work": {"a": 20.0, "b": 13.0}})) == (
        3,
        {},
    )
    assert by_own_work(SimpleNamespace(config=config, aggregated_metrics=None)) == (0, {})


def test_what_a_replica_did_adds_up_each_for_itself_also_where_it_was_at_once():
    work = OwnWork(now=iter([0.0, 1.0, 3.0, 4.0]).__next__)
    with work.one():
        with work.one():
            assert work.n == 2
        assert (work.n, work.seconds) == (1, 2.0)
    assert (work.n, work.seconds) == (0, 6.0)


def test_the_dashboard_is_that_of_the_metrics_there_are():
    from fireact_ray.stages import serve_dashboard, serve_metrics

    file = json.loads((CLUSTER / "grafana.json").read_text())
    assert file == serve_dashboard.dashboard()
    asked = set(re.findall(r"ray_(fireact_\w+?)(?:_bucket)?\b", json.dumps(file)))
    assert asked == set(re.findall(r"`(fireact_\w+)\{", serve_metrics.__doc__))
