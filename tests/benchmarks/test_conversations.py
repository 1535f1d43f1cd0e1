"""Dialogues of the benchmark: each way of asking has one answer, and says no more than it should."""

from benchmarks.conversations import WAYS, Reply, dialogues, rows
from fireact_ray.tasks.almanac.world import world


def test_dialogues_are_about_the_answer_and_about_the_subject_in_turn():
    several = dialogues(world("test"), 60, seed=0)
    assert [one.is_about_answer for one in several] == [True, False] * 30
    assert len({one.first for one in several}) > 50
    facts = set(world("test").facts.values())
    for one in several:
        assert {one.first_answer, one.answer} <= facts
        named = one.first_answer if one.is_about_answer else one.first.removesuffix("?")
        assert "that " in one.follow_up
        assert "that " not in one.in_full
        if one.is_about_answer:
            assert named in one.in_full
        assert one.first_answer not in one.follow_up


def test_only_the_follow_up_is_asked_with_a_history():
    (one,) = dialogues(world("test"), 1, seed=3)
    assert {way: [turn["role"] for turn in one.messages(way)] for way in WAYS} == {
        "follow-up": ["user", "assistant", "user"],
        "alone": ["user"],
        "in full": ["user"],
    }
    assert one.messages("alone")[0]["content"] == one.follow_up
    assert one.messages("in full")[0]["content"] == one.in_full


def test_a_row_counts_what_was_right_and_how_it_ended():
    replies = [Reply("the answer", True, "finished", False), Reply("the answer", False, "max_steps", True)]
    first, second = rows({"follow-up": replies})
    assert first == ("follow-up", "the answer", 1, 2, "9-91", 1, "finished 1, max_steps 1")
    assert second[2:4] == (0, 0)
