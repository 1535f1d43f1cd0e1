"""`tools`: native tool calls through the tokenizer's own chat template.

    user       the question
    assistant  the thought as content, and one call: search(query=...) or finish(answer=...)
    tool       the observation, without its label

`finish` is a call as well, so that thought and answer stay apart and every step of an agent is of one form. A reply
without a usable action is its thought alone, and what answers it a user turn. Methods and trajectories know none of
this: the structure is read out of the grammar, and a generated call is written back into it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from fireact_ray.core import grammar
from fireact_ray.core.errors import InputError
from fireact_ray.core.hashing import content_hash
from fireact_ray.core.json_text import NotJson, parse
from fireact_ray.core.tool_specs import ARGUMENTS, FINISH, SEARCH, UNKNOWN
from fireact_ray.core.types import Action, Turn
from fireact_ray.rendering.base import Piece, Segment
from fireact_ray.rendering.chat_template import takes_system, with_system
from fireact_ray.rendering.template import Layout, Message, Slot, Template

if TYPE_CHECKING:  # it knows transformers, which a recipe must not load
    from fireact_ray.rendering.tokenizer import HubTokenizer

_CALL_ID = "000000000"  # always the same, as only one call is open; Mistral wants nine characters
TOOLS = [SEARCH, FINISH]
_SYSTEM = Message("system", ("Answer the question.",))
_QUESTION, _OBSERVATION = Message("user", ("Where is Zem?",)), Message("tool", ("Zem is a city in Dar.",))
_NO_CALL = (Message("thought", ("I look.",)), Message("user", ("That was no action.",)))
_CALLS = (  # all forms of a reply with a call
    Message("query", ("I look for Zem.", "search", "Zem")),
    Message("answer", ("It is in Dar.", "finish", "Dar")),
    Message(UNKNOWN, ("I look at Zem.", "look", "Zem")),
    Message("query", ("search", "Zem")),
    Message("answer", ("finish", "Dar")),
    Message(UNKNOWN, ("look", "Zem")),
)


class Tools:
    """Raises InputError for a template that knows no tools, shows no thought beside a call, or is otherwise unfit."""

    def __init__(self, tokenizer: HubTokenizer) -> None:
        self.fingerprint = content_hash([tokenizer.chat_template(TOOLS), TOOLS])
        self._tokenizer = tokenizer
        _check_tools_are_shown(tokenizer)
        probe = (_QUESTION, _CALLS[0], _OBSERVATION, _CALLS[1])
        self._template = Template(tokenizer, _write, probe, TOOLS)
        self._has_system = takes_system(self._template, _SYSTEM, probe)
        self._template.check([_QUESTION, *_NO_CALL, *probe[1:]])
        self.end_id = self._template.end_id
        self._patterns = [self._pattern(call) for call in _CALLS]

    def segments(self, system: str | None, turns: Sequence[Turn]) -> Iterator[Segment]:
        trained = [turn.trained for turn in turns if turn.role == "assistant"]
        return self._template.segments(with_system(system, _messages(turns), self._has_system), trained)

    def reply(self, ids: Sequence[int]) -> str:
        """In the grammar where there is a call, as written where there is none."""
        pieces = self._tokenizer.take_apart(ids)
        text = _joined(pieces).strip()
        for pattern, slots in self._patterns:
            match = pattern.fullmatch(text)
            if match is not None and (texts := _texts(match, slots)) is not None:
                *thought, tool, argument = texts
                return grammar.render("".join(thought), Action(tool, argument))
        return "".join(piece for piece in pieces if isinstance(piece, str)).strip()

    def _pattern(self, call: Message) -> tuple[re.Pattern[str], list[Slot]]:
        """The inverse of the template: its text around the slots of one form of reply."""
        self._template.check([_QUESTION, call])
        layout = self._template.layout((("user", 1), (call.kind, len(call.texts))))
        end = layout.index(self.end_id)
        return _inverse(layout[:end], first=1)


def _check_tools_are_shown(tokenizer: HubTokenizer) -> None:
    prompt = tokenizer.fill_template([_write(*_QUESTION)], TOOLS, ask=True)
    if not all(tool["function"]["description"] in prompt for tool in TOOLS):
        raise InputError(
            f"The chat template of {tokenizer.name} knows no tools: it leaves their descriptions out. "
            "Put one that does into its chat_template.jinja, or set student.renderer to chat-template."
        )


def _messages(turns: Sequence[Turn]) -> list[Message]:
    messages: list[Message] = []
    for turn in turns:
        if turn.role == "assistant":
            messages.append(_reply(grammar.parse(turn.content)))
        elif messages and messages[-1].kind != "thought":
            messages.append(Message("tool", (turn.content.strip().removeprefix(grammar.OBSERVATION).strip(),)))
        else:
            messages.append(Message("user", (turn.content.strip(),)))
    return messages


def _reply(parsed: grammar.Parsed) -> Message:
    if parsed.action is None:
        return Message("thought", (parsed.thought,))
    thought = (parsed.thought,) if parsed.thought else ()
    tool, argument = parsed.action.tool, parsed.action.argument
    return Message(ARGUMENTS.get(tool, UNKNOWN), (*thought, tool, argument))


def _write(kind: str, texts: Sequence[str]) -> dict[str, Any]:
    if kind in ("system", "user"):
        return {"role": kind, "content": texts[0]}
    if kind == "tool":
        return {"role": "tool", "name": "search", "tool_call_id": _CALL_ID, "content": texts[0]}
    if kind == "thought":
        return {"role": "assistant", "content": texts[0]}
    *thought, tool, argument = texts
    function = {"name": tool, "arguments": {kind: argument}}
    call = {"type": "function", "id": _CALL_ID, "function": function}
    return {"role": "assistant", "content": "".join(thought), "tool_calls": [call]}


def _inverse(layout: Layout, first: int) -> tuple[re.Pattern[str], list[Slot]]:
    """A pattern with a group per slot, and what its groups are. `first`: the number of the first text."""
    parts: list[str] = []
    slots: list[Slot] = []
    tool = first + sum(isinstance(piece, Slot) for piece in layout) - 2  # the argument is the last
    for piece in layout:
        if isinstance(piece, Slot):
            slots.append(Slot(piece.index - first, piece.in_json))
            # A tool's name ends as soon as it can: an argument may spell what follows the name.
            parts.append(r"(\S*?)" if piece.index == tool else "(.*)")
        elif isinstance(piece, int):
            parts.append(re.escape(_control(piece)))
        else:
            # Tokenizers made from SentencePiece lose spaces beside special tokens.
            parts.append(rf"\s*{re.escape(piece.strip())}\s*")
    return re.compile("".join(parts).strip(), re.DOTALL), slots


def _texts(match: re.Match[str], slots: Sequence[Slot]) -> list[str] | None:
    """In the order of the message. None where a part is no JSON string, or the tool is no name."""
    texts = [""] * len(slots)
    for text, slot in zip(match.groups(), slots, strict=True):
        try:
            texts[slot.index] = parse(f'"{text}"', strict=False) if slot.in_json else text
        except NotJson:
            return None
    return texts if re.fullmatch(r"\w+", texts[-2]) else None


def _joined(pieces: Sequence[Piece]) -> str:
    """One text in which special tokens cannot be confused with what spells them."""
    return "".join(_control(piece) if isinstance(piece, int) else piece.replace("\0", " ") for piece in pieces)


def _control(i: int) -> str:
    return f"\0{i}\0"
