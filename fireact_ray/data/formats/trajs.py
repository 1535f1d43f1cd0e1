"""A record of FireAct's `trajs/*.json` in, a Conversation out.

The file is one object, index of the question -> record; `json_object` makes rows of it:

    {"reward": false, "em": false, "f1": 0.33, "gt": "torpedoes", "pred": "torpedo boats", "prompt": "",
     "traj": "Below is an instruction ...\\n\\n### Instruction:\\nWhat ...?\\n\\n### Response:\\nThought: ...\\n",
     "traj_by_line": [...]}

`traj` is a text, behind the template of a fine-tuned model or behind the question alone, or a list of chat messages.
`gt` is the accepted answer and `pred` the given one, empty for none, as they were compared, normalised; a verdict of
StrategyQA is true or false. Episodes that met a limit of steps were never written.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fireact_ray.core.grammar import canonical_argument
from fireact_ray.core.types import Score
from fireact_ray.data.formats.chat import read_chat
from fireact_ray.data.formats.fields import unread
from fireact_ray.data.formats.messages import Conversation
from fireact_ray.data.formats.transcript import NoTranscript
from fireact_ray.tasks.golds import Unreadable, accepted

KEY = "traj"
_KNOWN = {KEY, "traj_by_line", "reward", "em", "f1", "gt", "pred", "question", "id"}
_INSTRUCTION, _RESPONSE = "### Instruction:", "### Response:"


def read_traj(row: dict[str, Any], read_alpaca: Callable[[dict[str, Any]], Conversation]) -> Conversation:
    """`read_alpaca` reads a question and what follows it. Raises NoTranscript."""
    said = row[KEY]
    if isinstance(said, list):
        found = read_chat({"messages": said}, "messages")
    elif isinstance(said, str):
        question, output = _parted(said)
        found = read_alpaca({"instruction": question, "output": output})
    else:
        raise NoTranscript("unparsable", f"'{KEY}' is neither a text nor a list of messages")
    notes = tuple(sorted({*found.notes, *unread(row, _KNOWN)}))
    said = row.get("pred")
    answered = canonical_argument(said) if isinstance(said, str) else None
    recorded, tells_f1 = recorded_score(row)
    return replace(found, notes=notes, golds=_golds(row), answered=answered, recorded=recorded, tells_f1=tells_f1)


def _parted(text: str) -> tuple[str, str]:
    """The question and what follows it: behind a template, or from the second line on."""
    if _RESPONSE in text:
        before, _, output = text.partition(_RESPONSE)
        return before.partition(_INSTRUCTION)[2].strip(), output.strip()
    question, _, output = text.partition("\n")
    return question, output


def _golds(row: dict[str, Any]) -> tuple[str, ...]:
    try:
        return accepted({"gold": row.get("gt")})
    except Unreadable as error:
        raise NoTranscript("unparsable", f"'gt': {error}") from None


def recorded_score(row: dict[str, Any]) -> tuple[Score | None, bool]:
    """What was recorded, and whether an F1 was: tasks that are marked by accuracy record none."""
    em, f1 = row.get("em", row.get("reward")), row.get("f1")
    if not isinstance(em, int | float):
        return None, False
    if not isinstance(f1, int | float):
        return Score(float(em), float(em)), False
    return Score(float(em), float(f1)), True
