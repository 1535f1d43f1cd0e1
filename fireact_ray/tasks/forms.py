"""An answer without the form that it is put in: quotes, brackets, bold, `Answer:`, `\\boxed{}`.

For tasks whose answers are a letter or a verdict. Free texts are compared as SQuAD does (`scoring.py`).
"""

from __future__ import annotations

import re

OPENING = r"[\s\"'“‘«*_`(\[{<$]*"  # marks before a letter or verdict
CLOSING = r"\"'”’»*_`)\]}>$"  # and after it, inside a character class

_LABEL = re.compile(
    r"(?:the\s+)?(?:(?:final|correct|right|best)\s+)?(?:answer|choice|option|verdict)(?:\s+is\b\s*[:：]?|\s*[:：=])\s*",
    re.IGNORECASE,
)
_PAIRS = (
    ("<answer>", "</answer>"),
    ("\\boxed{", "}"),
    ("\\text{", "}"),
    *(("**", "**"), ("__", "__"), ("“", "”"), ("‘", "’"), ("«", "»"), ("(", ")"), ("[", "]"), ("{", "}")),
    *((mark, mark) for mark in "\"'`*_$"),
)
_END = " \t\r\n.,;:!"

# The verdict has to stand by itself: "No, it would sink." is a no, "no information found" is none.
_VERDICT = re.compile(rf"{OPENING}(yes|no|true|false)(?:[{CLOSING}]|\s*(?:$|[.,;:!()\-–—]))", re.IGNORECASE)
_MEANS = {"yes": "yes", "true": "yes", "no": "no", "false": "no"}


def bare(answer: str) -> str:
    """Without a label before it and pairs of marks around it; what stands inside is left as it is."""
    text = answer.strip()
    while (inner := _unwrapped(_LABEL.sub("", text, count=1) if _LABEL.match(text) else text)) != text:
        text = inner
    return text


def verdict(answer: str) -> str | None:
    """`yes` or `no`; None where it is neither. Quotes, brackets, bold and a label are form: `**Yes**`, `(no)`,
    "Answer: yes"."""
    found = _VERDICT.match(bare(answer))
    return _MEANS[found.group(1).lower()] if found else None


def _unwrapped(text: str) -> str:
    text = text.strip()
    ended = text.rstrip(_END)
    for opening, closing in _PAIRS:
        if ended.startswith(opening) and ended.endswith(closing) and len(ended) > len(opening) + len(closing):
            inner = ended[len(opening) : len(ended) - len(closing)]
            if _is_one_pair(inner, opening, closing):
                return inner.strip()
    return text


def _is_one_pair(inner: str, opening: str, closing: str) -> bool:
    """Whether the closing mark is that of the opening one: not in "(A) or (B)"."""
    if opening[-1] not in "([{":
        return opening not in inner and closing not in inner
    depth = 0
    for char in inner:
        depth += (char == opening[-1]) - (char == closing)
        if depth < 0:
            return False
    return depth == 0
