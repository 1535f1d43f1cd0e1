"""Small tokenizers of the true kinds, trained on a few sentences, with chat templates in their families' form.

What matters is as in the originals: how spaces at a text's start are treated, byte fallback or byte level, how texts
are cut into words, which tokens are special, merely added, or swallow spaces, and what the templates write.
"""

from __future__ import annotations

import functools
import json
from typing import Any

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import AutoTokenizer, GemmaTokenizer, LlamaTokenizer, PreTrainedTokenizerFast, Qwen2Tokenizer

from fireact_ray.core.paths import NANO_DIR
from fireact_ray.rendering.tokenizer import HubTokenizer

TEXT = [
    "Thought: I need the author of the book, so I look for it first.",
    "Action: search[the author of the book]",
    "Observation: The author is a painter who was born in 1947 and lives in the city of Zem.",
    "Question: Who wrote the novel, and when was the author born? Answer with the name and the year.",
    '{"type": "function", "function": {"name": "search", "arguments": {"query": "the city"}}}',
    "<|start_header_id|>user<|end_header_id|> [INST] assistant system tool model [/INST] <<SYS>> <</SYS>>",
] * 3

LLAMA2_CHAT = (
    "{% if messages[0].role == 'system' %}"
    "{% set head = '<<SYS>>\\n' + messages[0].content + '\\n<</SYS>>\\n\\n' %}{% set turns = messages[1:] %}"
    "{% else %}{% set head = '' %}{% set turns = messages %}{% endif %}"
    "{% for m in turns %}{% if m.role == 'user' %}"
    "{{ bos_token + '[INST] ' + (head if loop.first else '') + m.content.strip() + ' [/INST]' }}"
    "{% else %}{{ ' ' + m.content.strip() + ' ' + eos_token }}{% endif %}{% endfor %}"
)
LLAMA3_CHAT = (
    "{{ bos_token }}{% for m in messages %}"
    "{{ '<|start_header_id|>' + m.role + '<|end_header_id|>\\n\\n' + m.content | trim + '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)
LLAMA3_CALLS = (  # calls are plain text; unlike the original, content stands before them
    "{{ bos_token }}{% for m in messages %}{% set role = 'ipython' if m.role == 'tool' else m.role %}"
    "{{ '<|start_header_id|>' + role + '<|end_header_id|>\\n\\n' }}"
    "{% if tools and loop.first %}{% for t in tools %}{{ t | tojson + '\\n\\n' }}{% endfor %}{% endif %}"
    "{% if m.role == 'tool' %}{{ m.content | tojson }}{% else %}{{ m.content | trim }}{% endif %}"
    "{% for c in m.tool_calls or [] %}"
    "{{ '\\n{\"name\": \"' + c.function.name + '\", \"parameters\": ' + c.function.arguments | tojson + '}' }}"
    "{% endfor %}{{ '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|start_header_id|>assistant<|end_header_id|>\\n\\n' }}{% endif %}"
)
CHATML = (
    "{% if tools %}{{ '<|im_start|>system\\n' }}"
    "{% if messages[0].role == 'system' %}{{ messages[0].content + '\\n\\n' }}{% endif %}"
    "{{ '# Tools\\n\\n<tools>' }}{% for t in tools %}{{ '\\n' + t | tojson }}{% endfor %}"
    "{{ '\\n</tools>\\n\\nCall one as <tool_call></tool_call>.<|im_end|>\\n' }}"
    "{% elif messages[0].role == 'system' %}{{ '<|im_start|>system\\n' + messages[0].content + '<|im_end|>\\n' }}"
    "{% else %}{{ '<|im_start|>system\\nYou are helpful.<|im_end|>\\n' }}{% endif %}"
    "{% for m in messages %}"
    "{% if m.role == 'tool' %}"
    "{{ '<|im_start|>user\\n<tool_response>\\n' + m.content + '\\n</tool_response><|im_end|>\\n' }}"
    "{% elif m.role == 'assistant' and m.tool_calls %}{{ '<|im_start|>assistant' }}"
    "{% if m.content %}{{ '\\n' + m.content }}{% endif %}"
    "{% for c in m.tool_calls %}"
    '{{ \'\\n<tool_call>\\n{"name": "\' + c.function.name + \'", "arguments": \' }}'
    "{{ c.function.arguments | tojson }}{{ '}\\n</tool_call>' }}{% endfor %}{{ '<|im_end|>\\n' }}"
    "{% elif m.role != 'system' %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endif %}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
CODER = (  # arguments as they are, not in JSON; no special token but those of ChatML
    "{% if tools %}{{ '<|im_start|>system\\nTools:' }}{% for t in tools %}"
    "{{ '\\n' + t.function.name + ': ' + t.function.description }}{% endfor %}{{ '<|im_end|>\\n' }}{% endif %}"
    "{% for m in messages %}{% if m.role == 'tool' %}"
    "{{ '<|im_start|>user\\n<response>\\n' + m.content + '\\n</response><|im_end|>\\n' }}"
    "{% elif m.tool_calls %}{{ '<|im_start|>assistant\\n' }}{% if m.content %}{{ m.content + '\\n\\n' }}{% endif %}"
    "{% for c in m.tool_calls %}{{ '<call>\\n<function=' + c.function.name + '>\\n' }}"
    "{% for k, v in c.function.arguments.items() %}"
    "{{ '<parameter=' + k + '>\\n' + v + '\\n</parameter>\\n' }}{% endfor %}"
    "{{ '</function>\\n</call>' }}{% endfor %}{{ '<|im_end|>\\n' }}"
    "{% else %}{{ '<|im_start|>' + m.role + '\\n' + m.content + '<|im_end|>\\n' }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
)
MISTRAL_V3 = (  # the system text moves to the last user turn; a call's turn shows no content
    "{% if messages[0].role == 'system' %}{% set head = messages[0].content + '\\n\\n' %}{% set turns = messages[1:] %}"
    "{% else %}{% set head = '' %}{% set turns = messages %}{% endif %}{{ bos_token }}"
    "{% set last_user = (turns | selectattr('role', 'equalto', 'user') | list)[-1] %}"
    "{% for m in turns %}{% if m.role == 'user' %}{% if tools and m == last_user %}"
    "{{ '[AVAILABLE_TOOLS] ' + tools | tojson + '[/AVAILABLE_TOOLS]' }}{% endif %}"
    "{{ '[INST] ' + (head if loop.last else '') + m.content + '[/INST]' }}"
    "{% elif m.tool_calls %}{{ '[TOOL_CALLS] [' }}{% for c in m.tool_calls %}"
    "{{ c.function | tojson }}{% endfor %}{{ ']' + eos_token }}"
    "{% elif m.role == 'tool' %}{{ '[TOOL_RESULTS] ' + m.content | tojson + '[/TOOL_RESULTS]' }}"
    "{% else %}{{ ' ' + m.content | trim + eos_token }}{% endif %}{% endfor %}"
)
MISTRAL_V13 = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}"
    "{{ '[SYSTEM_PROMPT]' + messages[0].content + '[/SYSTEM_PROMPT]' }}{% endif %}"
    "{% if tools %}{{ '[AVAILABLE_TOOLS]' + tools | tojson + '[/AVAILABLE_TOOLS]' }}{% endif %}"
    "{% for m in messages %}{% if m.role == 'user' %}{{ '[INST]' + m.content + '[/INST]' }}"
    "{% elif m.role == 'tool' %}{{ '[TOOL_RESULTS]' + m.content + '[/TOOL_RESULTS]' }}"
    "{% elif m.role == 'assistant' %}{{ m.content }}{% for c in m.tool_calls or [] %}"
    "{{ '[TOOL_CALLS]' + c.function.name + '[ARGS]' + c.function.arguments | tojson }}{% endfor %}"
    "{{ eos_token }}{% endif %}{% endfor %}"
)
GEMMA_CHAT = (
    "{{ bos_token }}{% if messages[0].role == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}"
    "{% for m in messages %}{% set role = 'model' if m.role == 'assistant' else m.role %}"
    "{{ '<start_of_turn>' + role + '\\n' + m.content | trim + '<end_of_turn>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\\n' }}{% endif %}"
)
PHI3_CHAT = (
    "{% for m in messages %}{{ '<|' + m.role + '|>\\n' + m.content + '<|end|>\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)
ZEPHYR_CHAT = (  # turns are marked by plain text
    "{% for m in messages %}{{ '<|' + m.role + '|>\\n' + m.content + eos_token + '\\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\\n' }}{% endif %}"
)

BYTES = [f"<0x{i:02X}>" for i in range(256)]
LLAMA3_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


@functools.cache
def tokenizer(name: str) -> HubTokenizer:
    """One of `KINDS`, the same object each time."""
    return HubTokenizer(original(name))


@functools.cache
def original(name: str) -> Any:
    """As transformers has it."""
    return KINDS[name]()


def with_template(name: str, template: str | dict[str, str] | None) -> HubTokenizer:
    """A new tokenizer of kind `name` with another chat template."""
    made = KINDS[name]()
    made.chat_template = template
    return HubTokenizer(made)


def nano() -> Any:
    return AutoTokenizer.from_pretrained(NANO_DIR)


def llama2() -> Any:
    """As it is loaded today: a space before a text, but only at its very start."""
    return LlamaTokenizer(*_sentencepiece("<unk>", "<s>", "</s>"), legacy=False, chat_template=LLAMA2_CHAT)


def llama2_always() -> Any:
    """`legacy`: a space before each text behind a special token as well."""
    return LlamaTokenizer(*_sentencepiece("<unk>", "<s>", "</s>"), legacy=True, chat_template=LLAMA2_CHAT)


def llama2_normalizer() -> Any:
    """As tokenizer.json files of Llama-2's time have it: the space is put there by a normalizer."""
    vocab, merges = _sentencepiece("<unk>", "<s>", "</s>")
    made = Tokenizer(models.BPE(vocab, merges, byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    made.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    made.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=made, unk_token="<unk>", bos_token="<s>", eos_token="</s>", chat_template=ZEPHYR_CHAT
    )


def llama3() -> Any:
    """The end token of a turn is not the end-of-sequence token."""
    made = _byte_level(LLAMA3_WORDS, ignore_merges=True)
    special = ["<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>", "<|eom_id|>", "<|python_tag|>"]
    return PreTrainedTokenizerFast(
        tokenizer_object=made,
        bos_token="<|begin_of_text|>",
        eos_token="<|end_of_text|>",
        extra_special_tokens=special,
        chat_template=LLAMA3_CHAT,
    )


def llama3_calls() -> Any:
    made = llama3()
    made.chat_template = LLAMA3_CALLS
    return made


def qwen2() -> Any:
    """No begin token; the tags of tool calls are added tokens that are not special."""
    state = json.loads(_byte_level(LLAMA3_WORDS).to_str())["model"]
    vocab = {**state["vocab"], "<|endoftext|>": len(state["vocab"])}
    merges = [tuple(pair) for pair in state["merges"]]
    made = Qwen2Tokenizer(vocab, merges, eos_token="<|im_end|>", extra_special_tokens=["<|im_start|>"])
    made.add_tokens([AddedToken(tag, normalized=False) for tag in ("<tool_call>", "</tool_call>", "<think>")])
    made.chat_template = CHATML
    return made


def qwen2_coder() -> Any:
    made = qwen2()
    made.chat_template = CODER
    return made


def mistral() -> Any:
    return _mistral(MISTRAL_V3, "[TOOL_CALLS]", "[TOOL_RESULTS]", "[/TOOL_RESULTS]")


def mistral_v13() -> Any:
    return _mistral(
        MISTRAL_V13,
        "[TOOL_CALLS]",
        "[ARGS]",
        "[TOOL_RESULTS]",
        "[/TOOL_RESULTS]",
        "[SYSTEM_PROMPT]",
        "[/SYSTEM_PROMPT]",
    )


def gemma() -> Any:
    """No space is put anywhere; runs of newlines are added tokens."""
    vocab, merges = _sentencepiece("<pad>", "<eos>", "<bos>", "<unk>", "<mask>", prepended=False)
    vocab = {**vocab, "\n": len(vocab), "\n\n": len(vocab) + 1}
    made = GemmaTokenizer(vocab, merges, extra_special_tokens=["<start_of_turn>", "<end_of_turn>"])
    made.add_tokens([AddedToken(run, normalized=False) for run in ("\n\n", "<table>")])
    made.chat_template = GEMMA_CHAT
    return made


def phi3() -> Any:
    """Special tokens swallow the spaces behind them."""
    made = LlamaTokenizer(*_sentencepiece("<unk>", "<s>", "<|endoftext|>"), legacy=False, eos_token="<|endoftext|>")
    tags = ("<|system|>", "<|user|>", "<|assistant|>", "<|end|>")
    made.add_tokens([AddedToken(tag, rstrip=True, normalized=False, special=True) for tag in tags])
    made.chat_template = PHI3_CHAT
    return made


KINDS = {
    kind.__name__: kind
    for kind in (
        nano,
        *(llama2, llama2_always, llama2_normalizer, phi3),
        *(llama3, llama3_calls),
        *(qwen2, qwen2_coder),
        *(mistral, mistral_v13),
        gemma,
    )
}
TEMPLATES = [name for name in KINDS if name != "nano"]
TOOL_CALLERS = ["llama3_calls", "qwen2", "qwen2_coder", "mistral_v13"]
PAIRS = [
    *[(name, renderer) for name in KINDS for renderer in ("plain", "fireact-alpaca", "llama2")],
    *[(name, "chat-template") for name in TEMPLATES],
    *[(name, "tools") for name in TOOL_CALLERS],
]


def _mistral(template: str, *tags: str) -> Any:
    special = ["[INST]", "[/INST]", "[AVAILABLE_TOOLS]", "[/AVAILABLE_TOOLS]", *tags]
    return LlamaTokenizer(
        *_sentencepiece("<unk>", "<s>", "</s>"), legacy=False, extra_special_tokens=special, chat_template=template
    )


@functools.cache
def _sentencepiece(*special: str, prepended: bool = True) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Vocabulary and merges as of a SentencePiece model: special tokens, bytes, pieces with "▁" for a space."""
    made = Tokenizer(models.BPE())
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Metaspace(prepend_scheme="always" if prepended else "never"), pre_tokenizers.Punctuation()]
    )
    made.train_from_iterator(TEXT, trainers.BpeTrainer(vocab_size=300, show_progress=False))
    state = json.loads(made.to_str())["model"]
    pieces = [*special, *BYTES, *state["vocab"]]
    return {piece: i for i, piece in enumerate(pieces)}, [tuple(pair) for pair in state["merges"]]


def _byte_level(words: str, ignore_merges: bool = False) -> Tokenizer:
    made = Tokenizer(models.BPE(ignore_merges=ignore_merges))
    made.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(words), "isolated"), pre_tokenizers.ByteLevel(False, use_regex=False)]
    )
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=500, initial_alphabet=alphabet, show_progress=False)
    made.train_from_iterator(TEXT, trainer)
    return made
