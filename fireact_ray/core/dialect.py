"""A reply as models write it in, the same reply in the grammar out, where there is no mistaking it.

    **Thought:** I need the author.                 Thought: I need the author.
    **Action 1:** `Search("The Road to Zem")`       Action: search[The Road to Zem]

What was repaired is named and goes with the Step. A text in the grammar is returned as it is, at once. So is one that
may mean several things: two different actions, an action that cannot be read beside one that can, a call in a
sentence, a label in a quotation. It is then a reply without a usable action, and the model is told which form is
wanted. Only what a model wrote is ever read so, never an observation.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from fireact_ray.core import grammar
from fireact_ray.core.call_objects import folded_name
from fireact_ray.core.calls import TOOLS, Call, Names, read_answer, read_call, read_json_call
from fireact_ray.core.labels import LABEL, kind_of, opened_by, repairs_of
from fireact_ray.core.types import Action

# Their argument ends where the reply ends, so that nobody knows whether a reply that was cut off holds all of it.
OPEN_ENDED = frozenset({"missing_bracket", "action_input", "final_answer"})

_IN_GRAMMAR = re.compile(r"\s*(?:Thought:[^\n]*\n+)?Action: (?:search|finish)\[([^\n]*)\]\s*")
_FENCE = re.compile(r"^[ \t]*```[\w-]*[ \t]*(?:\n|\Z)", re.MULTILINE)
_FENCED_HEAD = re.compile(r"\s*```[\w-]*[ \t]*\nAction:")
_INLINE = re.compile(
    r"(?<=[.!?。！？…)\"”])(?P<gap>[ \t]+)(?P<open>\*{0,2})Action(?P<number>[ \t]*\d{1,3})?"
    r"(?P<close>\*{0,2})(?P<colon>[:：])(?P<after>\*{0,2})",
)
_OBJECT = re.compile(r"^[ \t]*(?=\{)", re.MULTILINE)
_CALLS = re.compile(r"(\w[\w.-]*)[\[(［【（]")


class _Rewritten(NamedTuple):
    """`actions`: of the model's own turn, in their order; `unread`: how many `Action:` labels had none behind them."""

    text: str
    repairs: tuple[str, ...] = ()
    actions: tuple[Action, ...] = ()
    unread: int = 0


def read(text: str, names: Names = TOOLS) -> grammar.Parsed:
    """A reply taken apart. `names`: what the tools may be called, as `calls.tool_names` makes it."""
    text, repairs = normalise(text, names)
    parsed = grammar.parse(text)
    return grammar.Parsed(parsed.thought, parsed.action, repairs) if repairs else parsed


def thought_of(text: str) -> tuple[str, tuple[str, ...]]:
    """A thought without its label, canonical, and what was repaired in it."""
    repairs = set[str]()
    if "```" in text and (unfenced := _FENCE.sub("", text)) != text:
        text, repairs = unfenced, {"code_fence"}
    text = text.strip()
    label = LABEL.match(text)
    if label is not None and kind_of(label) == "thought":
        repairs |= repairs_of(label, "thought")
        text = text[label.end() :]
    return grammar.canonical_line(text), tuple(sorted(repairs))


def normalise(text: str, names: Names = TOOLS) -> tuple[str, tuple[str, ...]]:
    """The reply in the grammar and the names of what was repaired, sorted; the same text and () where nothing was.

    Idempotent. The action that the grammar reads is the one action that the text says.
    """
    if _is_in_grammar(text):
        return text, ()
    found = _rewrite(text, names)
    if not found.repairs or found.unread or len(set(found.actions)) != 1:
        return text, ()
    again = _rewrite(found.text, names)
    if again.repairs or grammar.parse(found.text).action != found.actions[0]:
        return text, ()
    return found.text, found.repairs


def written(text: str, names: Names = TOOLS) -> str:
    """The reply with every label and action that can be read in the grammar's own form, also where these are several:
    what a rule looks at."""
    return text if _is_in_grammar(text) else _rewrite(text, names).text


def _is_in_grammar(text: str) -> bool:
    match = _IN_GRAMMAR.fullmatch(text)
    if match is None:
        return False
    argument = match.group(1)
    return ("[" not in argument and "]" not in argument) or argument.count("[") == argument.count("]")


def _rewrite(text: str, names: Names) -> _Rewritten:
    observed = next((label for label in LABEL.finditer(text) if kind_of(label) == "observation"), None)
    own, rest = (text, "") if observed is None else (text[: observed.start()], text[observed.end() :])
    repairs = set[str]()
    if "```" in own and (unfenced := _unfenced(own)) != own:
        own, repairs = unfenced, {"code_fence"}
    turn = _Turn(own, names, repairs)
    if not turn.actions:
        return _Rewritten(text, unread=turn.unread)
    if observed is not None:
        repairs |= repairs_of(observed, "observation")
        turn.add(f"{grammar.OBSERVATION}{rest}")
    if not repairs:
        return _Rewritten(text, (), tuple(turn.actions), turn.unread)
    return _Rewritten("".join(turn.pieces), tuple(sorted(repairs)), tuple(turn.actions), turn.unread)


def _unfenced(text: str) -> str:
    """Without lines that are fences, but for one that is all of the thought and has no other to close it."""
    is_thought = _FENCED_HEAD.match(text) is not None and len(_FENCE.findall(text)) == 1
    return text if is_thought else _FENCE.sub("", text)


class _Turn:
    """The parts of a model's own turn, label by label, as `pieces` of the text in the grammar."""

    def __init__(self, text: str, names: Names, repairs: set[str]) -> None:
        self.pieces, self.actions, self.unread = list[str](), list[Action](), 0
        self._names, self._repairs, self._has_thought = names, repairs, False
        labels = list(LABEL.finditer(text))
        ends = [*(label.start() for label in labels), len(text)][1:]
        blocks = [(label, text[label.end() : end]) for label, end in zip(labels, ends, strict=True)]
        self.pieces.append(text[: labels[0].start()] if labels else text)
        skip = False
        for place, (label, body) in enumerate(blocks):
            following = blocks[place + 1] if place + 1 < len(blocks) else None
            skip = not skip and self._block(label, body, following)
        if not self.actions and not self.unread:
            self._without_label()

    def add(self, piece: str) -> None:
        """A piece that begins with a label stands at the beginning of a line."""
        if self.pieces and self.pieces[-1] and not self.pieces[-1].endswith("\n"):
            self.pieces.append("\n")
        self.pieces.append(piece)

    def _block(self, label: re.Match[str], body: str, following: tuple[re.Match[str], str] | None) -> bool:
        """True where the following block belongs to this one."""
        kind = kind_of(label)
        if kind == "thought":
            self._thought(label, body)
            return False
        if kind == "final_answer":
            call = read_call(body, self._names)
            answer = (
                call.argument if call is not None and call.tool == "finish" else read_answer(body, opened_by(label))
            )
            self._act(label, Call("finish", answer, len(body), ("final_answer",)) if answer else None, body)
            return False
        if kind == "action":
            given = following[1] if following is not None and kind_of(following[0]) == "action_input" else None
            call = read_call(body, self._names, given)
            self._act(label, call, body)
            if call is None or "action_input" not in call.repairs or following is None:
                return False
            self._repairs |= repairs_of(following[0], "action_input")
            return True
        self._raw(label, body)
        return False

    def _thought(self, label: re.Match[str], body: str) -> None:
        repairs = repairs_of(label, "thought")
        if not repairs:
            self._raw(label, body)
        else:
            self._repairs |= repairs
            ended = body.rstrip()
            body = ended.removesuffix(opened_by(label)) + body[len(ended) :]
            # A second label joins its thought to the first.
            self.add(body if self._has_thought else f"{grammar.THOUGHT} {body.lstrip(' ')}")
        self._has_thought = True

    def _act(self, label: re.Match[str], call: Call | None, body: str) -> None:
        if call is None:
            self.unread += 1
            self._raw(label, body)
            return
        self.actions.append(Action(call.tool, call.argument))
        repairs = repairs_of(label, kind_of(label)).union(call.repairs)
        if not repairs:
            self._raw(label, body)
            return
        self._repairs |= repairs
        rest = body[call.end :]
        if any(folded_name(name) in self._names for name in _CALLS.findall(rest.partition("\n")[0])):
            self.unread += 1  # a list of calls in one line
        self.add(f"{grammar.ACTION} {call.tool}[{call.argument}]{'' if _is_mark(rest) else rest}")

    def _raw(self, label: re.Match[str], body: str) -> None:
        self.add(f"{label.group()}{body}")

    def _without_label(self) -> None:
        """An action at the end of the last line, or a JSON object that is one."""
        last = self.pieces.pop()
        inline = list(_INLINE.finditer(last))
        if len(inline) == 1 and last[: inline[0].start()].count('"') % 2 == 0:
            (label,) = inline
            call = read_call(last[label.end() :], self._names)
            if call is not None and call.tool in self._names and _is_mark(last[label.end() + call.end :]):
                self._end(last[: label.start()], call, {"one_line", *_inline_repairs(label)})
                return
        if (start := _OBJECT.search(last)) is not None:
            call = read_json_call(last[start.end() :], self._names)
            if call is not None:
                before = last[: start.start()]
                if call.thought and not before.strip():
                    before = f"{grammar.THOUGHT} {grammar.canonical_line(call.thought)}"
                self._end(before, call, set())
                return
        self.pieces.append(last)

    def _end(self, before: str, call: Call, repairs: set[str]) -> None:
        self._repairs |= repairs.union(call.repairs)
        self.actions.append(Action(call.tool, call.argument))
        if before.strip():
            self.pieces.append(before.rstrip())
        self.add(f"{grammar.ACTION} {call.tool}[{call.argument}]")


def _inline_repairs(label: re.Match[str]) -> set[str]:
    bold = label["open"] or label["close"] or label["after"]
    found = {"bold_label": bold, "numbered": label["number"], "full_width": label["colon"] != ":"}
    return {name for name, is_there in found.items() if is_there}


def _is_mark(text: str) -> bool:
    return not text.strip(" \t\n`*_")
