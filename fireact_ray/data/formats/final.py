"""A last message without a call in, its thought and its answer out.

It is 410 m.\\nAnswer: 410 m           the last line that begins with `Answer:`; the other lines are the thought
Answer:\\nLake Tarn\\nLake Ulm          nothing on that line: what follows is the answer
It is deep: <answer>410 m</answer>    the last pair of tags
So we have \\boxed{410}.               the last box; the thought is the text without it being a box
It is 410 m deep.                     nothing of these: the whole message, on one line
"""

from __future__ import annotations

import re

from fireact_ray.core.boxed import boxes, whole_box

_AS_WE_WRITE = "Answer: "
_NO_THOUGHT = ("Action:", "Observation:", "<tool_call>")
_LABEL = re.compile(r"^[ \t>#*_]*(?:Final )?Answer[*_]*[ \t]*[:\uff1a][*_]*[ \t]*", re.MULTILINE | re.IGNORECASE)
_ACTION = re.compile(
    r"^[ \t]*[*_]*Action\b[ \t\d]*[*_]*[ \t]*[:\uff1a][*_]*[ \t]*`?\w+`?[ \t]*[\[(]", re.MULTILINE | re.IGNORECASE
)
_OPEN, _CLOSE = "<answer>", "</answer>"


def as_we_write(text: str) -> tuple[str, str] | None:
    """Thought and answer of a message as our exports end: a thought of one line at most, then `Answer: ...`."""
    thought, _, line = text.rpartition("\n")
    if not line.startswith(_AS_WE_WRITE) or "\n" in thought or thought.startswith(_NO_THOUGHT):
        return None
    return thought, _unwrapped(line[len(_AS_WE_WRITE) :])


def is_in_grammar(text: str) -> bool:
    """The reply writes an action of its own."""
    return "ction" in text.lower() and (_ACTION.search(text) is not None or "Action Input:" in text)


def thought_and_answer(text: str) -> tuple[str, str]:
    text = text.strip()
    labels = list(_LABEL.finditer(text)) if "nswer" in text.lower() else []
    if labels:
        thought, answer = _labelled(text[: labels[-1].start()], text[labels[-1].end() :])
        return thought, _unwrapped(answer)
    end = text.rfind(_CLOSE)
    start = text.rfind(_OPEN, 0, end) if end >= 0 else -1
    if start >= 0:
        around = f"{text[:start].strip()}\n{text[end + len(_CLOSE) :].strip()}".strip()
        return around, _unwrapped(text[start + len(_OPEN) : end])
    return _boxed(text)


def _labelled(before: str, after: str) -> tuple[str, str]:
    line, _, rest = after.partition("\n")
    if line.count("**") % 2:  # **Answer: Lake Tarn**
        line = line.replace("**", "")
    if not line.strip() or line.rstrip().endswith(":"):
        return before.strip(), f"{line}\n{rest}".strip()
    return f"{before.strip()}\n{rest.strip()}".strip(), line.strip()


def _boxed(text: str) -> tuple[str, str]:
    found = boxes(text)
    if not found:
        return "", text
    start, end, answer = found[-1]
    around = f"{text[:start]}{answer}{text[end:]}"
    return ("" if around.strip() == answer.strip() else around), answer


def _unwrapped(answer: str) -> str:
    """An answer that is a box or a pair of tags and nothing else is what stands in it."""
    answer = answer.strip()
    if answer.startswith(_OPEN) and answer.endswith(_CLOSE):
        answer = answer[len(_OPEN) : -len(_CLOSE)].strip()
    inner = whole_box(answer)
    return answer if inner is None else inner
