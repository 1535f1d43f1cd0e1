"""Keys are looked for by their names, on every node, and no value leaves it."""

import pytest

from fireact_ray.core.secrets import ApiKey
from fireact_ray.recipe.keys import named_keys
from fireact_ray.recipe.loader import load_recipe
from fireact_ray.stages.jobs.checks import lacking, missing
from fireact_ray.stages.shared_folder import Sight

OPENAI = "teacher.model={kind: openai, name: m, base_url: 'http://127.0.0.1:9/v1', api_key_env: TEACHER_KEY}"
SERPER = "search.backend={kind: serper, api_key_file: /secrets/serper}"
ENDPOINT = "{kind: endpoint, name: e, base_url: 'http://h/v1', model: m, api_key_env: AGENT_KEY}"
EVALUATE = f"evaluate={{split: test, systems: [base, teacher, {ENDPOINT}]}}"


def places(stages, *overrides):
    return [(key.env, key.file, key.asked_by) for key in named_keys(load_recipe("demo", overrides), stages)]


def test_the_keys_of_the_stages_that_run_are_named_once_each():
    teacher = ("TEACHER_KEY", None, "The recipe's teacher.model")
    search = (None, "/secrets/serper", "The recipe's search.backend")
    agent = ("AGENT_KEY", None, "The recipe's evaluate.systems.2")
    assert places(["generate"], OPENAI, SERPER, EVALUATE) == [teacher, search]
    assert places(["evaluate"], OPENAI, SERPER, EVALUATE) == [agent, search, teacher]
    assert places(["generate", "evaluate"], OPENAI, SERPER, EVALUATE) == [teacher, search, agent]
    assert places(["convert", "train"], OPENAI, SERPER, EVALUATE) == []


def test_a_replay_and_the_scripted_teacher_need_none():
    assert places(["generate", "evaluate"], OPENAI, SERPER, "replay=/runs/other") == []
    assert places(["generate", "convert", "train", "evaluate"]) == []


def test_a_node_says_what_it_lacks_and_never_what_it_has(monkeypatch, tmp_path):
    (tmp_path / "key").write_text("CANARY-in-a-file")
    monkeypatch.setenv("THERE_KEY", "CANARY-in-the-environment")
    monkeypatch.delenv("GONE_KEY", raising=False)
    keys = [
        ApiKey("THERE_KEY", None, "The recipe's a"),
        ApiKey(None, str(tmp_path / "key"), "The recipe's b"),
        ApiKey("GONE_KEY", None, "The recipe's c"),
        ApiKey(None, "/nowhere/key", "The recipe's d"),
    ]
    said = "the environment variable GONE_KEY (The recipe's c), the file /nowhere/key (The recipe's d)"
    assert lacking(keys) == said
    assert lacking(keys[:2]) is None


def test_all_nodes_that_lack_a_key_are_named_with_what_to_do():
    lack = "the environment variable K (The recipe's teacher.model)"
    problem = missing([Sight("10.0.0.2", lack), Sight("10.0.0.1", lack), Sight("10.0.0.3", "")])
    assert problem.startswith(f"Nothing was asked yet: on 10.0.0.1, 10.0.0.2 there is no key in {lack}. A job carries")
    assert "Export the variable before `ray start` on every node" in problem
    assert missing([Sight("10.0.0.1", "")]) is None


@pytest.mark.parametrize("value", ["", "  "])
def test_an_empty_variable_is_no_key(monkeypatch, value):
    monkeypatch.setenv("EMPTY_KEY", value)
    assert lacking([ApiKey("EMPTY_KEY", None, "x")]) == "the environment variable EMPTY_KEY (x)"
