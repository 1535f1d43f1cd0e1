"""Trajectories that are training rows in, a file of another trainer's format out.

The text is what `examples.to_example` trains on: thoughts without what their method left, no reward. Formats that know
tools tell the search, and write `finish` as the assistant's last message: the thought, then `Answer: ...`. `importers`
reads all of them back; `Format.lost` says what does not come back.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow.parquet as pq

from fireact_ray.core.errors import DataError
from fireact_ray.core.storage.rows import to_table
from fireact_ray.core.tool_specs import ARGUMENTS, SEARCH, UNKNOWN
from fireact_ray.core.types import Action, Step, Trajectory
from fireact_ray.data.examples import conversation, plain_steps

Encode = Callable[[Sequence[Trajectory]], bytes]

_TEXTS_ONLY = "ids, method, model, score, accepted answers, cost, timings, replies as received"
_MARKS = "marks of hidden reasoning in a thought, of a turn at either end of a text, an observation of `None` alone"
_LABELS = f"{_MARKS}; of a thought that itself holds `Thought:` or `Action: name[`, that label or what follows it"
_CALLS = f"{_MARKS}; a thought that begins with `<tool_call>`, the \\boxed{{}} or <answer> around a whole answer"


@dataclass(frozen=True, slots=True)
class Format:
    """`file`: the name of the data file. `mask`: what a trainer learns from it. `lost`: what an import does not give
    back. `info`: LLaMA-Factory's description of the file, where it reads it."""

    file: str
    encode: Encode
    mask: str
    lost: str
    info: dict[str, Any] | None = None


def alpaca_row(trajectory: Trajectory) -> dict[str, Any]:
    question, *turns = conversation(trajectory)
    return {"instruction": question.content, "input": "", "output": "\n".join(turn.content for turn in turns)}


def chat_row(trajectory: Trajectory) -> dict[str, Any]:
    return {"messages": [{"role": turn.role, "content": turn.content} for turn in conversation(trajectory)]}


def tools_row(trajectory: Trajectory) -> dict[str, Any]:
    """Arguments are a JSON string, as OpenAI has them."""
    *calls, last = plain_steps(trajectory)
    messages: list[dict[str, Any]] = [{"role": "user", "content": trajectory.question.text}]
    for number, step in enumerate(calls, start=1):
        call = _call(step)
        function = {"name": call["name"], "arguments": json.dumps(call["arguments"], ensure_ascii=False)}
        tool_call = {"id": f"call_{number}", "type": "function", "function": function}
        messages.append({"role": "assistant", "content": step.thought, "tool_calls": [tool_call]})
        messages.append({"role": "tool", "tool_call_id": f"call_{number}", "content": _shown(step)})
    messages.append({"role": "assistant", "content": _final(last)})
    return {"messages": messages, "tools": [SEARCH]}


def sharegpt_row(trajectory: Trajectory) -> dict[str, Any]:
    """human and observation in odd places, function_call and gpt in even ones, as LLaMA-Factory demands; a thought
    stands before its call, which is then within tags."""
    *calls, last = plain_steps(trajectory)
    turns = [_turn("human", trajectory.question.text)]
    for step in calls:
        call = json.dumps(_call(step), ensure_ascii=False)
        tagged = f"{step.thought}\n<tool_call>\n{call}\n</tool_call>" if step.thought else call
        turns += [_turn("function_call", tagged), _turn("observation", _shown(step))]
    turns.append(_turn("gpt", _final(last)))
    return {"conversations": turns, "tools": json.dumps([SEARCH["function"]])}


def _turn(speaker: str, text: str) -> dict[str, str]:
    return {"from": speaker, "value": text}


def _call(step: Step) -> dict[str, Any]:
    action = _action(step)
    return {"name": action.tool, "arguments": {ARGUMENTS.get(action.tool, UNKNOWN): action.argument}}


def _shown(step: Step) -> str:
    if step.observation is None:
        raise DataError("A step before the last one has no observation: this is no training row.")
    return step.observation.text


def _final(step: Step) -> str:
    answer = f"Answer: {_action(step).argument}"
    return f"{step.thought}\n{answer}" if step.thought else answer


def _action(step: Step) -> Action:
    if step.action is None:
        raise DataError("A step has no usable action: this is no training row.")
    return step.action


def _json_list(row: Callable[[Trajectory], dict[str, Any]]) -> Encode:
    """A row a line, so that files can be compared and cut."""
    return lambda rows: ("[\n" + ",\n".join(_lines(map(row, rows))) + "\n]\n").encode()


def _json_lines(row: Callable[[Trajectory], dict[str, Any]]) -> Encode:
    return lambda rows: "".join(f"{line}\n" for line in _lines(map(row, rows))).encode()


def _lines(rows: Iterable[dict[str, Any]]) -> list[str]:
    return [json.dumps(row, ensure_ascii=False) for row in rows]


def _parquet(rows: Sequence[Trajectory]) -> bytes:
    sink = io.BytesIO()
    pq.write_table(to_table(rows), sink, compression="zstd")
    return sink.getvalue()


FORMATS: dict[str, Format] = {
    "alpaca": Format(
        "alpaca.json",
        _json_list(alpaca_row),
        "nothing: `output` is one text, and a trainer that learns it whole learns to write the observations too",
        f"{_TEXTS_ONLY}; {_LABELS}",
        {"file_name": "alpaca.json", "columns": {"prompt": "instruction", "query": "input", "response": "output"}},
    ),
    "chat": Format(
        "chat.jsonl", _json_lines(chat_row), "the assistant's messages are to be learnt", f"{_TEXTS_ONLY}; {_LABELS}"
    ),
    "tools": Format(
        "tools.jsonl",
        _json_lines(tools_row),
        "the assistant's messages and calls are to be learnt",
        f"{_TEXTS_ONLY}; {_CALLS}",
    ),
    "sharegpt": Format(
        "sharegpt.json",
        _json_list(sharegpt_row),
        "LLaMA-Factory learns `gpt` and `function_call`; one that knows no thought before a call says so and stops",
        f"{_TEXTS_ONLY}; {_CALLS}",
        {
            "file_name": "sharegpt.json",
            "formatting": "sharegpt",
            "columns": {"messages": "conversations", "tools": "tools"},
        },
    ),
    "parquet": Format(
        "trajectories.parquet", _parquet, "nothing: these are whole trajectories, for `fireact import`", "nothing"
    ),
}
