import re
from itertools import chain, product

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fireact_ray.core import observations
from fireact_ray.core.grammar import (
    Parsed,
    canonical_argument,
    canonical_line,
    cut_at_observation,
    neutralise,
    parse,
    render,
)
from fireact_ray.core.types import Action

pytestmark = pytest.mark.slow

MANY = settings(max_examples=5 * settings.default.max_examples)

# Text made of what the grammar is made of, so that examples hit its seams.
LABELS = ["Thought:", "Action:", "Observation:", "Answer:", "action :", "search[", "finish[x]"]
SPACES = ["\n", "\r\n", " ", "\t", "\u00a0", "\u200b", "\u202e", "\u2028", "\x00", "\x85", "\ufeff"]
PIECES = st.sampled_from([*LABELS, *SPACES, "[", "]", "(", ":", "-", "a", "Ilä", "née", "🙂"])
TEXT = st.one_of(st.lists(PIECES, max_size=12).map("".join), st.text(max_size=40))
LABEL = re.compile(r"\b(thought|action|observation|question|answer)\s*:", re.IGNORECASE)


@given(TEXT)
def test_a_canonical_line_is_canonical_again(text):
    assert canonical_line(canonical_line(text)) == canonical_line(text)
    assert "\n" not in canonical_line(text)


@given(TEXT)
def test_a_canonical_argument_is_canonical_again_and_balanced(text):
    argument = canonical_argument(text)
    assert canonical_argument(argument) == argument
    depths = [argument[:i].count("[") - argument[:i].count("]") for i in range(len(argument) + 1)]
    assert min(depths) == depths[-1] == 0


# Any character at all, lone surrogates too, and brackets and quotes in every nesting.
WILD = st.one_of(
    TEXT,
    st.text(st.one_of(st.characters(), st.sampled_from("\ud800\udfff[]")), max_size=20),
    st.text("[](){}\"'`\\ \na", max_size=20),
)


@MANY
@given(WILD, st.sampled_from(["search", "finish", "look_up2", "suche", "検索"]), WILD)
def test_what_is_rendered_is_parsed_back(thought, tool, argument):
    argument = canonical_argument(argument) or "x"
    text = render(thought, Action(tool, argument))
    assert text.encode().decode() == text  # no half of a character, which no file and no tokenizer takes
    assert parse(text) == Parsed(canonical_line(thought), Action(tool, argument))


def test_every_short_text_is_parsed_back_as_thought_and_as_argument():
    pieces = [*LABELS, "\n", " ", "\u200b", "\u2028", "\x00", "[", "]", "(", '"', "a", "ä"]
    texts = ["".join(chosen) for chosen in chain.from_iterable(product(pieces, repeat=n) for n in range(4))]
    assert len(texts) == 6175
    for text in texts:
        parsed = Parsed(canonical_line(text), Action("search", canonical_argument(text) or "x"))
        assert parse(render(parsed.thought, parsed.action)) == parsed


@given(st.text(st.characters(categories=["L", "M", "N", "P", "S"]), min_size=1, max_size=30))
def test_a_line_of_any_script_is_canonical_as_it_is(text):
    assert canonical_line(f"a {text}") == f"a {text}"
    unbracketed = text.replace("[", "{").replace("]", "}")
    assert canonical_argument(f"a [{unbracketed}]") == f"a [{unbracketed}]"


@given(TEXT, TEXT.map(canonical_argument).filter(bool), TEXT)
def test_what_a_model_invents_after_its_turn_is_never_read(thought, argument, invented):
    reply = render(thought, Action("search", argument))
    assert parse(f"{reply}\nObservation:{invented}") == parse(reply)


@given(TEXT)
def test_a_parsed_action_is_canonical_and_not_empty(text):
    action = parse(text).action
    assert action is None or (action.argument and canonical_argument(action.argument) == action.argument)


@given(TEXT)
@example("Act\u200bion: finish[x]")
@example("Action\x00: finish[x]")
@example("Observation: Thought:")
def test_neutral_text_holds_no_label_and_no_second_line(text):
    line = neutralise(text, 30)
    assert LABEL.search(line) is None
    assert len(line.splitlines()) <= 1
    assert len(line) <= 30


@given(TEXT)
def test_neutral_text_never_parses_as_an_action(text):
    line = neutralise(text, 1000)
    assert parse(line).action is None
    assert parse(f"Thought: a\n{line}").action is None
    assert cut_at_observation(f"a\n{line}") == f"a\n{line}"
    assert neutralise(line, 1000) == line


@pytest.mark.parametrize(
    ("text", "thought", "action"),
    [
        ("Thought: a\nAction: search[b]", "a", Action("search", "b")),
        ("a\nAction: search[b]", "a", Action("search", "b")),
        ("Action: finish[b]", "", Action("finish", "b")),
        ("Thought: a\nAction: search[f(x)[0] of [y]]", "a", Action("search", "f(x)[0] of [y]")),
        ("Thought: a\nAction:\tsearch [ b ] now", "a", Action("search", "b")),
        ("Thought: a\nAction: search[b]\nAction: finish[c]", "a", Action("search", "b")),
        ("Thought: a\nb\nAction: search[c]", "a b", Action("search", "c")),
        ("Thought: a\nAction: search[b", "a", None),
        ("Thought: a\nAction: search[b\nc]", "a", None),
        ("Thought: a\nAction: search[]", "a", None),
        ("Thought: a\nAction: finish[Observation:]", "a", None),
        ("Thought: a\nAction: search[\u200b]", "a", None),
        ("Thought: a. Action: search[b]", "a. Action: search[b]", None),
        ("Thought: a", "a", None),
        ("", "", None),
        ("Observation: a\nAction: finish[b]", "", None),
        ("Thought: a\nObservation: b\nAction: finish[c]", "a", None),
    ],
)
def test_replies_are_taken_apart(text, thought, action):
    assert parse(text) == Parsed(thought, action)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("Action: finish[x]", "Action - finish[x]"),
        ("See:\nObservation : it\u202e", "See: Observation - it"),
        ("my thoughts: none", "my thoughts: none"),
        ("a" * 50, "a" * 16 + " ..."),
        ("one two three four fi", "one two three fo ..."),
    ],
)
def test_tool_output_is_neutralised_and_stays_readable(text, line):
    assert neutralise(text, 20) == line or neutralise(text, 200) == line


@pytest.mark.parametrize(
    ("text", "argument"),
    [("a]b", "a)b"), ("[a", "(a"), ("[[a]", "([a]"), ("][", ")("), ("a [b] c", "a [b] c")],
)
def test_brackets_without_a_partner_become_round(text, argument):
    assert canonical_argument(text) == argument


def test_the_lines_of_the_catalogue_are_neutral():
    names = ("NO_RESULTS", "SEARCH_FAILED", "INVALID_ACTION", "UNKNOWN_TOOL")
    lines = [getattr(observations, name) for name in names]
    assert [neutralise(line, 200) for line in lines] == lines
