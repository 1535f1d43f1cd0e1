import pytest
from fakes import ByteTokenizer, question
from hypothesis import given, settings
from hypothesis import strategies as st

from fireact_ray.core.errors import DataError
from fireact_ray.core.grammar import episode
from fireact_ray.core.types import Action, Observation, Step, Turn
from fireact_ray.rendering import make_renderer

TEXT_FORMATS = ["fireact-alpaca", "llama2", "plain"]  # the others need a chat template
STEPS = (
    Step("Look.", Action("search", "zem"), Observation("Zem: a city")),
    Step("So.", Action("finish", "Dar"), None),
)
EPISODE = episode(question("Where is Zem?"), STEPS, trained=True)


def spans(renderer_name: str) -> list[tuple[str, int]]:
    """Runs of equal mask as text, end tokens written <e>, begin tokens <b>."""
    rendered = make_renderer(renderer_name, ByteTokenizer()).render(EPISODE)
    runs: list[tuple[list[str], int]] = []
    for token, trained in zip(rendered.input_ids, rendered.loss_mask, strict=True):
        piece = {1: "<b>", 2: "<e>"}.get(token) or chr(token - 3)
        if not runs or runs[-1][1] != trained:
            runs.append(([], trained))
        runs[-1][0].append(piece)
    return [("".join(run), trained) for run, trained in runs]


def test_plain_trains_thought_action_and_end_token_and_nothing_else():
    assert spans("plain") == [
        ("Question: Where is Zem?\n", 0),
        ("Thought: Look.\nAction: search[zem]<e>", 1),
        ("\nObservation: Zem: a city\n", 0),
        ("Thought: So.\nAction: finish[Dar]<e>", 1),
    ]


def test_alpaca_wraps_the_question_in_its_preamble():
    text, trained = spans("fireact-alpaca")[0]
    assert trained == 0
    assert text == (
        "<b>Below is an instruction that describes a task. Write a response that appropriately completes the "
        "request.\n\n### Instruction:\nWhere is Zem?\n\n### Response:\n"
    )
    assert spans("fireact-alpaca")[1:] == spans("plain")[1:]


def test_llama2_opens_an_inst_block_per_user_turn_and_trains_the_spaces_around_a_reply():
    assert spans("llama2") == [
        ("<b>[INST] Where is Zem? [/INST]", 0),
        (" Thought: Look.\nAction: search[zem] <e>", 1),
        ("<b>[INST] Observation: Zem: a city [/INST]", 0),
        (" Thought: So.\nAction: finish[Dar] <e>", 1),
    ]


def test_a_system_turn_goes_before_the_question():
    turns = (Turn("system", "Be brief."), Turn("user", "Why?"))
    tokenizer = ByteTokenizer()
    assert tokenizer.decode(make_renderer("plain", tokenizer).prompt(turns)) == "Be brief.\n\nQuestion: Why?\n"
    assert "<<SYS>>\nBe brief.\n<</SYS>>\n\nWhy?" in tokenizer.decode(make_renderer("llama2", tokenizer).prompt(turns))


text = st.text(max_size=40)
steps = st.lists(st.builds(lambda t, q, o: Step(t, Action("search", q), Observation(o)), text, text, text), max_size=4)


@pytest.mark.parametrize("name", TEXT_FORMATS)
@settings(deadline=None)
@given(asked=text, taken=steps)
def test_serving_prompts_are_prefixes_of_the_training_row(name, asked, taken):
    renderer = make_renderer(name, ByteTokenizer())
    turns = episode(question(asked), taken, trained=True)
    whole = renderer.render(turns).input_ids
    for n in range(len(taken) + 1):
        prompt = renderer.prompt(episode(question(asked), taken[:n]))
        assert whole[: len(prompt)] == prompt


@pytest.mark.parametrize("name", TEXT_FORMATS)
@settings(deadline=None)
@given(asked=text, taken=steps)
def test_trained_tokens_spell_exactly_the_assistant_turns(name, asked, taken):
    tokenizer = ByteTokenizer()
    turns = episode(question(asked), taken, trained=True)
    ids, mask = make_renderer(name, tokenizer).render(turns)
    trained = [i for i, m in zip(ids, mask, strict=True) if m]
    form = " {} " if name == "llama2" else "{}"
    spoken = [[*tokenizer.encode(form.format(turn.content.strip())), 2] for turn in turns if turn.role == "assistant"]
    assert trained == [i for turn in spoken for i in turn]


def test_untrained_assistant_turns_are_context():
    assert sum(make_renderer("plain", ByteTokenizer()).render(episode(question(), STEPS)).loss_mask) == 0


def test_a_reply_decodes_to_its_text_with_or_without_end_token():
    renderer = make_renderer("plain", ByteTokenizer())
    ids = renderer.tokenizer.encode("Thought: x")
    assert renderer.decode(ids) == renderer.decode([*ids, 2, 50, 51]) == "Thought: x"


def test_roles_out_of_order_stop():
    renderer = make_renderer("plain", ByteTokenizer())
    with pytest.raises(DataError, match="Turn 1 of a conversation must be of role 'assistant', found 'user'"):
        renderer.render((Turn("user", "a"), Turn("user", "b")))
    with pytest.raises(DataError, match="ends with a user turn"):
        renderer.prompt(EPISODE)


def test_format_and_tokenizer_both_make_the_fingerprint():
    other = ByteTokenizer()
    other.fingerprint = "other"
    prints = {make_renderer(name, t).fingerprint for name in TEXT_FORMATS for t in (ByteTokenizer(), other)}
    assert len(prints) == 6
