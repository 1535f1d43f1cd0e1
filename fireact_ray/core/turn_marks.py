"""A reply in, the model's own turn out: without the marks of a chat template that a server left in the text.

    <|im_start|>assistant\\nAnswer: Rome<|im_end|>                          ->  Answer: Rome
    Answer: Rome</s><s>[INST] Who is next? [/INST] Answer: Ila Dun</s>     ->  Answer: Rome

A server does so that shows special tokens, or has the template of another model; one that does not know what ends a
turn goes on with the next one, which is nobody's. A mark counts where it stands as one: where a reply begins, where it
ends, or right before the mark that begins another turn. Anywhere else it is a quotation, and stays.
"""

from __future__ import annotations

import re

_BEGINS = (
    r"<s>|<bos>|<\|begin_of_text\|>|<\uff5cbegin\u2581of\u2581sentence\uff5c>|\[/INST\]|<\|assistant\|>|"
    r"<\uff5cAssistant\uff5c>|<\|im_start\|>(?:assistant\b)?|<start_of_turn>(?:model\b)?|<\|turn>(?:model\b)?|"
    r"<\|start_header_id\|>assistant<\|end_header_id\|>|<\|START_OF_TURN_TOKEN\|><\|CHATBOT_TOKEN\|>"
)
_ENDS = (
    r"</s>|<eos>|<end_of_turn>|<turn\|>|<\uff5cend\u2581of\u2581sentence\uff5c>|"
    r"<\|(?:im_end|eot_id|eom_id|endoftext|end_of_text|end_of_turn|END_OF_TURN_TOKEN|end|return)\|>"
)
_OTHERS = (
    r"<s>|\[INST\]|<\|im_start\|>|<\|start_header_id\|>|<start_of_turn>|<\|turn>|<\|user\|>|<\|system\|>|"
    r"<\uff5cUser\uff5c>|<\|START_OF_TURN_TOKEN\|>"
)
# Nothing follows a row of marks, so that it is looked at once also without possessive quantifiers, which Python before
# 3.11.5 gets wrong (github.com/python/cpython/issues/106052).
_HEAD = re.compile(rf"\s*(?:(?:{_BEGINS})\s*)+")
_END = re.compile(rf"(?:(?:{_ENDS})\s*)+")
_OTHER = re.compile(_OTHERS)


def own_turn(text: str) -> str:
    """`text` itself, the same object, where no mark stands in it."""
    if "<" not in text and "[/INST]" not in text:
        return text
    head = _HEAD.match(text)
    start = head.end() if head else 0
    ends = (mark.start() for mark in _END.finditer(text, start) if _is_turned(text, mark.end()))
    end = next(ends, None)
    return text if head is None and end is None else text[start:end].rstrip()


def _is_turned(text: str, place: int) -> bool:
    """The text is over there, or it is another's turn."""
    return place == len(text) or _OTHER.match(text, place) is not None
