"""Chat templates and tool calls: what they give to the letter, and which templates are refused."""

import pytest
from fakes import question

from fireact_ray.core.errors import InputError
from fireact_ray.core.grammar import episode
from fireact_ray.core.types import Action, Observation, ObservationStatus, Step, Turn
from fireact_ray.rendering import make_renderer
from fireact_ray.rendering.tokenizer import HubTokenizer

from . import tokenizers
from .tokenizers import CHATML, GEMMA_CHAT, LLAMA3_CHAT, with_template

pytestmark = pytest.mark.torch  # transformers

STEPS = (
    Step("Look.", Action("search", 'the "Zem" [1]'), Observation("Zem: a city")),
    Step("So.", Action("finish", "Dar"), None),
)
EPISODE = episode(question("Where is Zem?"), STEPS, trained=True)
SYSTEM = Turn("system", "Be brief.")


def marked(tokenizer: HubTokenizer, name: str, turns=EPISODE) -> str:
    """The row as text, trained stretches in ⟦ ⟧."""
    ids, mask = make_renderer(name, tokenizer).render(turns)
    text, start = "", 0
    for end in range(1, len(ids) + 1):
        if end == len(ids) or mask[end] != mask[start]:
            piece = tokenizer.show(ids[start:end])
            text += f"⟦{piece}⟧" if mask[start] else piece
            start = end
    return text


def test_llama3_trains_replies_and_their_own_end_token():
    tokenizer = tokenizers.tokenizer("llama3")
    assert marked(tokenizer, "chat-template") == (
        "<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nWhere is Zem?<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
        '⟦Thought: Look.\nAction: search[the "Zem" [1]]<|eot_id|>⟧'
        "<|start_header_id|>user<|end_header_id|>\n\nObservation: Zem: a city<|eot_id|>"
        "<|start_header_id|>assistant<|end_header_id|>\n\n"
        "⟦Thought: So.\nAction: finish[Dar]<|eot_id|>⟧"
    )
    renderer = make_renderer("chat-template", tokenizer)
    assert renderer.end_id == tokenizer.control_tokens["<|eot_id|>"] != tokenizer.eos_id


def test_what_a_template_writes_behind_the_end_token_is_not_trained():
    assert marked(tokenizers.tokenizer("gemma"), "chat-template").endswith("Action: finish[Dar]<end_of_turn>⟧\n")


def test_a_space_before_the_reply_is_the_models_to_write():
    assert marked(tokenizers.tokenizer("mistral"), "chat-template").startswith("<s>[INST] Where is Zem?[/INST]⟦Thought")
    rendered = make_renderer("chat-template", tokenizers.tokenizer("mistral")).render(EPISODE)
    first = rendered.input_ids[rendered.loss_mask.index(1)]
    assert tokenizers.original("mistral").convert_ids_to_tokens(first).startswith("▁")


@pytest.mark.parametrize(
    ("tokenizer", "head"),
    [
        ("qwen2", "<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\nWhere is Zem?<|im_end|>\n"),
        ("gemma", "<bos><start_of_turn>user\nBe brief.\n\nWhere is Zem?<end_of_turn>\n"),  # refuses system turns
        ("mistral", "<s>[INST] Be brief.\n\nWhere is Zem?[/INST]⟦"),  # would move it to the last user turn
    ],
)
def test_a_system_turn_stays_or_goes_before_the_question(tokenizer, head):
    assert marked(tokenizers.tokenizer(tokenizer), "chat-template", (SYSTEM, *EPISODE)).startswith(head)


def test_qwen_calls_tools_in_json_between_its_tags():
    text = marked(tokenizers.tokenizer("qwen2"), "tools").partition("<|im_start|>user\n")[2]
    assert text == (
        "Where is Zem?<|im_end|>\n<|im_start|>assistant\n"
        '⟦Look.\n<tool_call>\n{"name": "search", "arguments": {"query": "the \\"Zem\\" [1]"}}\n</tool_call><|im_end|>⟧'
        "\n<|im_start|>user\n<tool_response>\nZem: a city\n</tool_response><|im_end|>\n<|im_start|>assistant\n"
        '⟦So.\n<tool_call>\n{"name": "finish", "arguments": {"answer": "Dar"}}\n</tool_call><|im_end|>⟧\n'
    )


def test_mistral_calls_tools_by_special_tokens():
    text = marked(tokenizers.tokenizer("mistral_v13"), "tools").partition("[/AVAILABLE_TOOLS]")[2]
    assert text == (
        '[INST]Where is Zem?[/INST]⟦Look.[TOOL_CALLS]search[ARGS]{"query": "the \\"Zem\\" [1]"}</s>⟧'
        '[TOOL_RESULTS]Zem: a city[/TOOL_RESULTS]⟦So.[TOOL_CALLS]finish[ARGS]{"answer": "Dar"}</s>⟧'
    )


def test_a_tool_prompt_describes_search_and_finish():
    tokenizer = tokenizers.tokenizer("qwen2")
    prompt = tokenizer.show(make_renderer("tools", tokenizer).prompt(EPISODE[:1]))
    assert '"name": "search"' in prompt and '"name": "finish"' in prompt


def test_a_reply_without_a_call_is_answered_by_a_user_turn():
    invalid = Step("hm", None, Observation("Invalid action.", ObservationStatus.ERROR))
    text = marked(tokenizers.tokenizer("mistral_v13"), "tools", episode(question("Where is Zem?"), [invalid, *STEPS]))
    assert "[/INST]hm</s>[INST]Observation: Invalid action.[/INST]Look.[TOOL_CALLS]search" in text


@pytest.mark.parametrize(
    ("generated", "text"),
    [
        ('Look.\n<tool_call>\n{"name": "search", "arguments": {"query": "a [b"}}\n</tool_call>', "search[a (b]"),
        ('<tool_call>\n{"name": "finish", "arguments": {"answer": "Dar"}}\n</tool_call>', "finish[Dar]"),
        ('<tool_call>\n{"name": "look", "arguments": {"input": "x"}}\n</tool_call>', "look[x]"),
    ],
)
def test_a_generated_call_is_read_as_an_action(generated, text):
    tokenizer = tokenizers.tokenizer("qwen2")
    ids = tokenizers.original("qwen2").encode(generated, add_special_tokens=False)
    thought = "Thought: Look.\n" if generated.startswith("Look.") else ""
    assert make_renderer("tools", tokenizer).decode(ids) == f"{thought}Action: {text}"


@pytest.mark.parametrize(
    "generated",
    [
        "Thought: Look.\nAction: search[Zem]",  # a model prompted in the grammar
        '{"name": "search", "arguments": {"query": "Zem"}}',
        '<tool_call>\n{"name": "search", "arguments": {"query": "Ze"m"}}\n</tool_call>',
        '<tool_call>\n{"name": "se arch", "arguments": {"query": "Zem"}}\n</tool_call>',
        '<tool_call>\n{"name": "search", "arguments": {"answer": "Zem", "query": "x',
    ],
)
def test_what_is_no_call_stays_as_it_was_written(generated):
    ids = tokenizers.original("qwen2").encode(generated, add_special_tokens=False)
    plain = generated.replace("<tool_call>", "").replace("</tool_call>", "").strip()
    assert make_renderer("tools", tokenizers.tokenizer("qwen2")).decode(ids) == plain


def test_tags_that_are_spelt_out_make_no_call():
    tokenizer = tokenizers.tokenizer("qwen2")
    text = 'Look.\n<tool_call>\n{"name": "search", "arguments": {"query": "x"}}\n</tool_call>'
    assert make_renderer("tools", tokenizer).decode(tokenizer.encode(text)) == text


def test_a_template_that_would_write_todays_date_writes_the_one_it_has_for_a_server_without_a_clock():
    dated = "{% if strftime_now is defined %}{{ strftime_now('%d %b %Y') }}{% else %}{{ '26 Jul 2024' }}{% endif %}"
    head = "<|begin_of_text|>26 Jul 2024<|start_header_id|>user"
    template = LLAMA3_CHAT.replace("{{ bos_token }}", f"{{{{ bos_token }}}}{dated}")
    assert marked(with_template("llama3", template), "chat-template").startswith(head)


THINKING = CHATML.replace(
    "m.role + '\\n' + m.content", "m.role + '\\n' + (('<think>' if loop.last and loop.index > 1 else '') + m.content)"
)


@pytest.mark.parametrize(
    ("name", "tokenizer", "template", "reason"),
    [
        ("chat-template", "llama3", None, "has no chat template"),
        ("tools", "nano", None, "has no chat template"),
        ("chat-template", "qwen2", THINKING, "it changes earlier turns when turns follow: '<think>...<|im_end|>"),
        (
            "chat-template",
            "llama3",
            LLAMA3_CHAT.replace("m.content | trim", "m.content | upper"),
            "texts: 'here is Z.* becomes 'HERE",
        ),
        ("chat-template", "llama3", LLAMA3_CHAT.replace("m.content | trim", "m.content[:8]"), "rewrites texts"),
        ("chat-template", "llama3", LLAMA3_CHAT.replace("m.content | trim", "''"), r"drops.*\[1\] in .*'assistant'"),
        ("chat-template", "llama3", "{{ strftime_now('%d %b %Y') }}" + LLAMA3_CHAT, "writes today's date"),
        ("chat-template", "llama3", LLAMA3_CHAT.replace("<|eot_id|>", "\\n"), "no special token ends a reply"),
        ("chat-template", "gemma", GEMMA_CHAT.replace("role +", "role + (loop.index | string) +"), "earlier turns"),
        ("chat-template", "llama3", LLAMA3_CHAT.replace("assistant<|end_header_id|>", ""), "earlier turns"),
        ("chat-template", "llama3", "{{ raise_exception('not me') }}", "failed: not me"),
        ("chat-template", "llama3", LLAMA3_CHAT.split("{% if add")[0], "a reply it writes '<|start_header_id|>assis"),
        ("tools", "llama3", LLAMA3_CHAT, "knows no tools"),
        ("tools", "mistral", tokenizers.MISTRAL_V3, "drops, repeats or encodes what stands at .1. in .*'content': '1'"),
        ("tools", "qwen2", CHATML.replace("| tojson }}{{ '}", "| tojson | tojson }}{{ '}"), "drops, repeats or enc"),
    ],
)
def test_a_template_that_cannot_be_trained_with_is_refused(name, tokenizer, template, reason):
    with pytest.raises(InputError, match=reason):
        make_renderer(name, with_template(tokenizer, template))


def test_a_template_that_changes_only_late_turns_is_refused_when_they_come():
    template = LLAMA3_CHAT.replace("m.content | trim", "(m.content if messages | length < 6 else m.content + '!')")
    renderer = make_renderer("chat-template", with_template("llama3", template))
    renderer.render(EPISODE)
    with pytest.raises(InputError, match="it changes earlier turns when turns follow"):
        renderer.render((*EPISODE[:-1], *EPISODE[1:]))


def test_the_template_with_tools_is_the_one_that_counts_for_tools():
    tokenizer = with_template("qwen2", {"default": LLAMA3_CHAT, "tool_use": CHATML})
    assert "<tool_call>" in marked(tokenizer, "tools")


def test_a_changed_template_is_another_renderer():
    prints = {
        make_renderer(name, with_template("qwen2", template)).fingerprint
        for name in ("chat-template", "tools")
        for template in (CHATML, CHATML.replace("You are helpful.", "You are brief."))
    }
    assert len(prints) == 4
