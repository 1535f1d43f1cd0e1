"""A row of results in, what was asked and answered out: other evaluators write these, without the steps.

    {"id": "q7", "question": "Who ...?", "golden_answers": ["Ila Dun"],
     "output": {"pred": "Ila Dun", "metric_score": {"em": 1.0, "f1": 1.0}, ...}}            FlashRAG
    {"question": "Who ...?", "answer": "Ila Dun", "prediction": "Ila", "em": 0, "f1": 0.67}   anybody

Beside a prediction, `answer` is the accepted one.
"""

from __future__ import annotations

from typing import Any

from fireact_ray.core.grammar import canonical_argument
from fireact_ray.data.formats.messages import Conversation, Message
from fireact_ray.data.formats.trajs import recorded_score
from fireact_ray.data.formats.transcript import NoTranscript
from fireact_ray.tasks.golds import Unreadable, accepted

PREDICTIONS = ("pred", "prediction", "predicted_answer")
_OUTPUT, _SCORES = "output", "metric_score"


def is_result(row: dict[str, Any]) -> bool:
    return isinstance(row.get("question"), str) and _named(row) is not None


def read_result(row: dict[str, Any]) -> Conversation:
    """Raises NoTranscript where a prediction is no text, or the accepted answers cannot be read."""
    holder, key = _named(row) or (row, PREDICTIONS[0])
    said = holder[key]
    if not isinstance(said, str | None):
        raise NoTranscript("unparsable", f"'{key}' is no text but {said!r:.80}")
    try:
        golds = accepted(row)
    except Unreadable as error:
        raise NoTranscript("unreadable_gold", str(error)) from None
    answered = canonical_argument(said or "")
    turns = (Message("user", row["question"].strip()), Message("assistant", answered))
    within = holder.get(_SCORES)
    recorded, tells_f1 = recorded_score(within if isinstance(within, dict) else row)
    return Conversation(turns, golds=golds, answered=answered, recorded=recorded, tells_f1=tells_f1, is_result=True)


def _named(row: dict[str, Any]) -> tuple[dict[str, Any], str] | None:
    """Where the prediction stands. One that is null was not made."""
    for holder in (row, row.get(_OUTPUT)):
        if isinstance(holder, dict):
            for key in PREDICTIONS:
                if key in holder:
                    return holder, key
    return None
