"""What holds of every renderer with every tokenizer that it fits, whatever the texts: what is trained is served."""

import unicodedata
from functools import cache
from itertools import groupby

import pytest
from fakes import question
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fireact_ray.core.grammar import canonical_argument, canonical_line, episode
from fireact_ray.core.types import Action, Observation, Step, Turn
from fireact_ray.rendering import make_renderer
from fireact_ray.rendering.base import Renderer
from fireact_ray.rendering.tools import TOOLS

from . import tokenizers
from .tokenizers import KINDS, PAIRS, TEMPLATES, TOOL_CALLERS

pytestmark = pytest.mark.torch  # transformers

SOME = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.too_slow])
every_pair = pytest.mark.parametrize(("tokenizer", "name"), PAIRS)

# Every special token of every tokenizer, what the formats are made of, and any character but those that a tokenizer
# is known to change ("▁" is a space to SentencePiece) and the private ones.
CONTROL = sorted({token for kind in KINDS for token in tokenizers.tokenizer(kind).control_tokens})
CALLS = ['{"name": "search", "parameters": {"query": "x"}}', '"}}', "<parameter=query>\n", "\n</parameter>"]
FORMS = ["[INST]", "[/INST]", "<<SYS>>", "### Response:", "Observation:", "\\n", *CALLS]
CHARACTERS = st.characters(exclude_categories=("Cs", "Co"), exclude_characters="▁")
PIECES = st.one_of(st.sampled_from(CONTROL), st.sampled_from([*FORMS, "\n", " ", "\\", "<0x41>"]), CHARACTERS)
HOSTILE = st.lists(PIECES, max_size=8).map("".join)
BENIGN = st.text("abc XYZ 019 .,?'()[]\"éß中", min_size=1, max_size=20).map(lambda text: canonical_line(f"a{text}"))


def conversations(texts: st.SearchStrategy[str]) -> st.SearchStrategy[tuple[Turn, ...]]:
    """An optional system turn, a question, and trained steps; the last one may still wait for its observation."""
    thoughts, arguments = texts.map(canonical_line), texts.map(lambda text: canonical_argument(text) or "x")
    actions = st.builds(Action, st.sampled_from(["search", "finish", "look_up"]), arguments)
    steps = st.lists(st.builds(Step, thoughts, actions, st.builds(Observation, texts)), min_size=1, max_size=3)
    return st.builds(conversation, st.one_of(st.none(), texts), texts, steps, st.booleans())


def conversation(system: str | None, asked: str, steps: list[Step], is_open: bool) -> tuple[Turn, ...]:
    head = (Turn("system", system),) if system and system.strip() else ()
    turns = episode(question(asked), steps, trained=True)
    return head + (turns if is_open else turns[:-1])


@cache
def renderer(tokenizer: str, name: str) -> Renderer:
    return make_renderer(name, tokenizers.tokenizer(tokenizer))


def spoken(turns: tuple[Turn, ...]) -> list[str]:
    return [turn.content for turn in turns if turn.role == "assistant"]


def composed(text: str) -> str:
    """Qwen's tokenizer composes letters and accents."""
    return unicodedata.normalize("NFC", text)


def trained_runs(rendered) -> list[list[int]]:
    """The ids of each trained stretch."""
    pairs = zip(rendered.input_ids, rendered.loss_mask, strict=True)
    return [[i for i, _ in run] for trained, run in groupby(pairs, key=lambda pair: pair[1]) if trained]


@every_pair
@SOME
@given(turns=conversations(HOSTILE))
def test_a_serving_prompt_is_the_training_row_up_to_that_turn(tokenizer, name, turns):
    rendering = renderer(tokenizer, name)
    ids, mask = rendering.render(turns)
    begun = [i for i, trained in enumerate(mask) if trained and not mask[i - 1]]
    asking = [n for n, turn in enumerate(turns) if turn.role == "assistant"]
    prompts = [rendering.prompt(turns[:n]) for n in asking]
    assert prompts == [ids[:start] for start in begun]


@every_pair
@SOME
@given(turns=conversations(HOSTILE))
@example(conversation(None, "", [Step("", Action("search", "<parameter=query>"), Observation(""))], False))
def test_exactly_thought_action_and_end_token_are_trained(tokenizer, name, turns):
    rendering = renderer(tokenizer, name)
    runs = trained_runs(rendering.render(turns))
    assert [run.index(rendering.end_id) for run in runs] == [len(run) - 1 for run in runs]
    assert [composed(rendering.decode(run)) for run in runs] == [composed(text) for text in spoken(turns)]
    if name != "tools":
        shown = [rendering.tokenizer.show(run[:-1]).removeprefix(" ").removesuffix(" ") for run in runs]
        assert [composed(text) for text in shown] == [composed(text) for text in spoken(turns)]


@every_pair
@SOME
@given(turns=conversations(HOSTILE))
def test_no_text_gives_a_special_token(tokenizer, name, turns):
    rendering = renderer(tokenizer, name)
    special = set(rendering.tokenizer.control_tokens.values())

    def special_ids(of: tuple[Turn, ...]) -> list[int]:
        return [i for i in rendering.render(of).input_ids if i in special]

    assert special_ids(turns) == special_ids(tuple(harmless(turn) for turn in turns))


def harmless(turn: Turn) -> Turn:
    """A turn of the same form."""
    if turn.role != "assistant":
        return Turn(turn.role, "a")
    thought = "Thought: a\n" if turn.content.startswith("Thought: ") else ""
    tool = turn.content.removeprefix("Thought: ").rpartition("\nAction: ")[2].removeprefix("Action: ").partition("[")[0]
    return Turn("assistant", f"{thought}Action: {tool}[b]")


@every_pair
@SOME
@given(turns=conversations(HOSTILE))
def test_a_conversation_has_the_ids_of_one_built_turn_by_turn(tokenizer, name, turns):
    rendering = renderer(tokenizer, name)
    ids, mask = rendering.render(turns)
    first = 2 if turns[0].role == "system" else 1
    for n in range(first, len(turns)):
        until = rendering.render(turns[:n])
        assert ids[: len(until.input_ids)] == until.input_ids
        assert mask[: len(until.loss_mask)] == until.loss_mask


@every_pair
@SOME
@given(turns=conversations(HOSTILE), beyond=st.lists(st.integers(0, 200), max_size=3))
def test_a_generated_turn_is_read_up_to_its_end_token(tokenizer, name, turns, beyond):
    rendering = renderer(tokenizer, name)
    for run, text in zip(trained_runs(rendering.render(turns)), spoken(turns), strict=True):
        assert composed(rendering.decode([*run, *beyond])) == composed(text)
        assert composed(rendering.decode(run[:-1])) == composed(text)


@pytest.mark.parametrize("tokenizer", TEMPLATES)
@SOME
@given(turns=conversations(BENIGN))
def test_a_chat_template_gives_the_ids_that_transformers_gives(tokenizer, turns):
    turns = turns if tokenizer not in ("gemma", "mistral") else turns[turns[0].role == "system" :]
    messages = [{"role": turn.role, "content": turn.content} for turn in turns]
    asks = turns[-1].role == "user"
    assert renderer(tokenizer, "chat-template").render(turns).input_ids == by_transformers(tokenizer, messages, asks)


@pytest.mark.parametrize("tokenizer", TOOL_CALLERS)
@SOME
@given(asked=BENIGN, steps=st.lists(st.tuples(BENIGN, BENIGN.map(canonical_argument), BENIGN), min_size=1, max_size=3))
def test_tool_calls_give_the_ids_that_transformers_gives(tokenizer, asked, steps):
    messages = [{"role": "user", "content": asked}]
    for thought, query, seen in steps:
        call = {"type": "function", "function": {"name": "search", "arguments": {"query": query}}}
        messages.append({"role": "assistant", "content": thought, "tool_calls": [call]})
        messages.append({"role": "tool", "content": seen})
    taken = [Step(thought, Action("search", query), Observation(seen)) for thought, query, seen in steps]
    prompt = renderer(tokenizer, "tools").prompt(episode(question(asked), taken))
    assert prompt == by_transformers(tokenizer, messages, asks=True, tools=TOOLS)


def by_transformers(tokenizer: str, messages: list[dict], asks: bool, **more) -> list[int]:
    return tokenizers.original(tokenizer).apply_chat_template(
        messages, add_generation_prompt=asks, tokenize=True, return_dict=False, **more
    )


@pytest.mark.parametrize("tokenizer", ["llama2", "llama2_always"])
@SOME
@given(turns=conversations(HOSTILE))
def test_our_llama2_is_the_chat_template_of_llama2(tokenizer, turns):
    turns = tuple(Turn(turn.role, turn.content.strip(), turn.trained) for turn in turns)
    assert renderer(tokenizer, "llama2").render(turns) == renderer(tokenizer, "chat-template").render(turns)
