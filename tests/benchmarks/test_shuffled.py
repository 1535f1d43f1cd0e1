"""The control of shuffled observations: all texts are there, none where it belongs."""

from dataclasses import replace

from fakes import finished_trajectory, question

from benchmarks.shuffled import shuffled_observations
from fireact_ray.core.types import Action, Observation, ObservationStatus, Step


def row(key: str, kind: str, *seen: str):
    searches = tuple(Step("t", Action("search", key), Observation(text)) for text in seen)
    invalid = Step("t", None, Observation("invalid", ObservationStatus.ERROR))
    asked = replace(question(), kind=kind)
    return finished_trajectory(key, question=asked, steps=(*searches, invalid, Step("t", Action("finish", "x"), None)))


def seen(rows) -> list[list[str]]:
    return [[step.observation.text for step in one.steps if step.observation] for one in rows]


def test_observations_go_to_other_rows_of_their_kind_and_step_and_nothing_else_changes():
    rows = [row("a", "1hop", "A1"), row("b", "1hop", "B1"), row("c", "1hop", "C1"), row("d", "2hop", "D1", "D2")]
    shuffled = shuffled_observations(rows, seed=0)
    one_hop = [texts[0] for texts in seen(shuffled)[:3]]
    assert sorted(one_hop) == ["A1", "B1", "C1"]
    assert all(now != before for now, before in zip(one_hop, ("A1", "B1", "C1"), strict=True))
    assert seen(shuffled)[3] == ["D1", "D2", "invalid"]  # the only one of its kind
    assert [texts[-1] for texts in seen(shuffled)] == ["invalid"] * 4
    assert [(one.trajectory_id, one.answer, len(one.steps)) for one in shuffled] == [
        (one.trajectory_id, one.answer, len(one.steps)) for one in rows
    ]
    assert shuffled_observations(rows, seed=0) == shuffled
    assert seen(rows)[0] == ["A1", "invalid"]  # what it was made of is left alone
