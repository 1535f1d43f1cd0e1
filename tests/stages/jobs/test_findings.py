"""What a cluster's nodes are found to be: one line for each check, and the next move where it fails."""

from dataclasses import replace

import pytest

from fireact_ray.core.errors import DataError
from fireact_ray.stages.jobs import findings
from fireact_ray.stages.jobs.doctor import demand_fit
from fireact_ray.stages.jobs.findings import Finding, NodeFacts

VERSIONS = {"python": "3.11.7", "ray": "2.60.0"}
ONE = NodeFacts("10.0.0.1", VERSIONS, None, 0.0, True, 0.01, 0.02)
TWO = replace(ONE, node="10.0.0.2")


@pytest.mark.parametrize(
    ("finding", "line"),
    [
        (findings.alive(["a", "b"], []), "ok    nodes       2 alive"),
        (findings.versions([ONE, TWO]), "ok    versions    python 3.11.7, ray 2.60.0 everywhere"),
        (findings.gpus([ONE, TWO]), "ok    GPUs        none"),
        (findings.gpus([ONE, replace(TWO, n_gpus=8, gpus_of_ray=8.0)]), "ok    GPUs        8 on 1 nodes"),
        (findings.token([ONE, TWO]), "ok    token       asked for by every node"),
        (findings.clock([ONE, replace(TWO, clock_off_s=7.0, give_or_take_s=2.5)]), "ok    clock       within 5 s"),
        (findings.storage("/s", {"a": [], "b": []}), "ok    storage     /s: each node sees what each writes"),
        (findings.storage(None, {}), "-     storage     not looked at"),
        (findings.ports({"a": [], "b": []}), "ok    ports       each node reaches each, at any port"),
        (findings.keys([], None), "-     keys        not looked at: the recipe names none"),
        (findings.keys(["the file /k"], None), "ok    keys        the file /k: on every node"),
    ],
)
def test_what_is_well_is_said_and_what_was_not_looked_at_too(finding, line):
    assert str(finding).startswith(line)
    assert not finding.failed


@pytest.mark.parametrize(
    ("finding", "said"),
    [
        (findings.alive(["a", "b"], ["b"]), "nodes       2 alive, no answer from b. Look at their raylet's log"),
        (
            findings.versions([ONE, replace(TWO, versions={**VERSIONS, "ray": "2.59.0"})]),
            "python 3.11.7, ray 2.60.0 on 10.0.0.1; python 3.11.7, ray 2.59.0 on 10.0.0.2. Start all nodes from one",
        ),
        (findings.gpus([ONE, replace(TWO, n_gpus=1)]), "10.0.0.2 has 1, Ray counts 0. Set num-gpus of `ray start`"),
        (findings.gpus([replace(ONE, gpus_of_ray=2.0)]), "10.0.0.1 has 0, Ray counts 2. "),
        (findings.token([ONE, replace(TWO, has_token_mode=False)]), "not asked for on 10.0.0.2: whoever reaches"),
        (findings.clock([replace(ONE, clock_off_s=-61.0)]), "10.0.0.1 is -61.0 s off. Let NTP or chrony set it"),
        (
            findings.storage("/s", {"a": ["b"], "b": ["b"]}),
            "/s: a does not see what b wrote; b cannot write there. Mount",
        ),
        (findings.ports({"a": ["b", "c"], "b": []}), "a does not reach b, c. Open all ports between the nodes"),
        (findings.keys(["x"], "Nothing was asked yet: on b there is no key in x."), "on b there is no key in x"),
    ],
)
def test_what_is_wrong_names_the_nodes_and_the_next_move(finding, said):
    assert str(finding).startswith("FAIL")
    assert said in str(finding)


def test_a_failed_check_is_an_error_that_names_it_and_one_that_was_not_made_is_none():
    well, unknown, wrong = Finding("a", False, ""), Finding("b", None, ""), Finding("c", True, "")
    demand_fit([well, unknown])
    with pytest.raises(DataError, match=r"1 of 3 checks failed: c\."):
        demand_fit([well, unknown, wrong])
