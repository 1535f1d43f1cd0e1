"""A recorded transcript in, its steps and reward out: FireAct's release is written so.

    Thought: I need the author of The Road to Zem.
    Action: search[The Road to Zem author]
    Observation: The Road to Zem is a novel written by Ila Dun.
    Thought: I have the answer.
    Action: finish[Ila Dun]
    Observation: Episode finished, reward = True

A record may write its labels in another form ("Thought 1:", "**Action:**"), the same throughout; what a reply says is
read as a model's own is (core.dialect), what an observation says never. What recorders did to it is undone, nothing is
invented: a second `Thought:` label joins its thought to the
first, an action that a reply repeats word for word counts once, the last line is the reward and no
observation, and a bare `None` is a search that found nothing.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from fireact_ray.core import dialect, grammar, labels, observations
from fireact_ray.core.calls import TOOLS, Names, tool_of
from fireact_ray.core.tool_specs import ARGUMENTS
from fireact_ray.core.types import Action, Observation, ObservationStatus, Step
from fireact_ray.data.formats.messages import PackedCall

_ACTION = re.compile(rf"\bAction:[ \t]*{grammar.TOOL}[ \t]*\[")
_OBSERVATION = re.compile(r"^Observation:", re.MULTILINE)
_NEXT_REPLY = re.compile(r"\n(?=(?:Thought|Action):)")
_THOUGHT = re.compile(r"\bThought:\s*")
_REWARD = re.compile(r"Episode finished, reward = (\w+)")
_REWARDS = {"True": True, "1": True, "False": False, "0": False}
_LINE_THOUGHT = re.compile(r"^[ \t]*Thought:\s*", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Exchange:
    """One reply and the observation recorded after it, without its label; None where the record ends.

    `call`: where the record tells it apart from the thought, (thought, action): then `reply` is not read. `reasoning`
    as in Step.
    """

    reply: str
    observation: str | None
    call: tuple[str, Action] | None = None
    reasoning: str = ""


class NoTranscript(Exception):
    """The record holds no complete trajectory. `kind` is what counts are kept by."""

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(kind, detail)
        self.kind, self.detail = kind, detail


def exchanges(text: str) -> list[Exchange]:
    """Cut one text in which replies and `Observation:` lines follow each other."""
    observed, next_reply = _cuts(text)
    reply, *rest = observed.split(text)
    found = []
    for part in rest:
        observation, *following = next_reply.split(part, maxsplit=1)
        found.append(Exchange(reply.strip(), observation.strip()))
        reply = following[0] if following else ""
    return [*found, Exchange(reply.strip(), None)] if reply.strip() else found


def _cuts(text: str) -> tuple[re.Pattern[str], re.Pattern[str]]:
    """Where observations begin, and where the next reply does: the grammar's labels, and those of the form that the
    text's first label has. An observation may well hold labels of another form."""
    first = next(labels.labels(text), None)
    if first is None or first.group() in (grammar.THOUGHT, grammar.ACTION, grammar.OBSERVATION):
        return _OBSERVATION, _NEXT_REPLY
    written = first["name"]
    cased = str.lower if written.islower() else str.upper if written.isupper() else str.title
    parts = (first["bullets"], first["open"], bool(first["number"]), first["close"], first["colon"], first["after"])
    thought, action, observation = (labels.like(*parts, cased(name)) for name in ("thought", "action", "observation"))
    return (
        re.compile(rf"^(?:{grammar.OBSERVATION}|{observation})", re.MULTILINE),
        re.compile(rf"\n(?={grammar.THOUGHT}|{grammar.ACTION}|{thought}|{action})"),
    )


def read_steps(record: Sequence[Exchange], names: Names = TOOLS) -> tuple[tuple[Step, ...], bool | None]:
    """Steps and reward (None where none was recorded). `names`: what the tools are called.

    Raises NoTranscript for no complete trajectory.
    """
    if not record:
        raise NoTranscript("no_steps", "no reply follows the question")
    *earlier, last = record
    steps = [_step(number, exchange, names) for number, exchange in enumerate(earlier, start=1)]
    parsed = _parse(len(record), last, names)
    if parsed.action is None or parsed.action.tool != "finish":
        raise NoTranscript("no_finish", f"the last reply is {last.reply[-80:]!r}")
    end = Step(parsed.thought, parsed.action, None, last.reply, reasoning=last.reasoning, repairs=parsed.repairs)
    return (*steps, end), _reward(last.observation)


def _step(number: int, exchange: Exchange, names: Names) -> Step:
    parsed = _parse(number, exchange, names)
    if parsed.action is not None and parsed.action.tool == "finish":
        raise NoTranscript("after_finish", f"reply {number} finishes, and the record goes on")
    if exchange.observation is None:
        raise NoTranscript("no_observation", f"reply {number} has no observation")
    if _REWARD.match(exchange.observation):
        raise NoTranscript("after_finish", f"the record goes on after the reward, in reply {number + 1}")
    observation = _observation(exchange.observation)
    if parsed.action is None and observation.status is not ObservationStatus.ERROR:
        raise NoTranscript("no_action", f"reply {number} has no usable action: {exchange.reply[-80:]!r}")
    return Step(
        parsed.thought,
        parsed.action,
        observation,
        exchange.reply,
        reasoning=exchange.reasoning,
        repairs=parsed.repairs,
    )


def _parse(number: int, exchange: Exchange, names: Names) -> grammar.Parsed:
    if exchange.call is not None:
        return _parse_call(number, *exchange.call, names)
    return _parse_reply(number, exchange.reply, names)


def _parse_call(number: int, text: str, action: Action, names: Names) -> grammar.Parsed:
    """A call beside a thought, which may write the same action once more."""
    known = tool_of(action.tool, names)
    if known is None:
        raise NoTranscript("tool_name", f"reply {number} calls {action.tool!r}: a name is one word")
    tool, repairs = known
    if isinstance(action, PackedCall) and tool in ARGUMENTS:
        raise NoTranscript(
            "several_arguments", f"reply {number} calls {action.tool} with several arguments: {action.argument[:200]}"
        )
    action = Action(tool, action.argument)
    if "\n" in text:
        again = dialect.read(text, names)
        if again.action not in (None, action):
            raise NoTranscript("two_actions", f"reply {number} asks for different actions: {text[-80:]!r} and a call")
        text = _LINE_THOUGHT.sub("", text if again.action is None else again.thought)
    return grammar.Parsed(grammar.canonical_line(text), action if action.argument else None, tuple(sorted(repairs)))


def _parse_reply(number: int, reply: str, names: Names) -> grammar.Parsed:
    """The parts of a reply. Within one `Action:` line the grammar's rule holds: its first action counts."""
    reply, repairs = dialect.normalise(reply, names)
    if not repairs and _ACTION.search(reply) is None:
        reply = dialect.written(reply, names)  # several in other forms are said to be several
    starts = [match.start() for match in _ACTION.finditer(reply)]
    actions = {grammar.parse(reply[start:]).action for start in starts}
    if len(actions) > 1:
        parsed = grammar.parse(reply)
        if parsed.action and grammar.render(parsed.thought, parsed.action) == reply:
            return parsed  # one action, and a thought or an argument that quotes another
        raise NoTranscript("two_actions", f"reply {number} asks for different actions: {reply[starts[0] :]!r}")
    before = reply[: starts[0]] if starts else reply
    thought = grammar.canonical_line(_THOUGHT.sub("", before))
    return grammar.Parsed(thought, actions.pop() if actions else None, repairs)


def _observation(text: str) -> Observation:
    line = grammar.neutralise(text, sys.maxsize)  # rows that are too long are dropped whole, and counted
    if line in ("", "None"):
        line = observations.NO_RESULTS
    return observations.recorded(line)


def _reward(text: str | None) -> bool | None:
    if text is None:
        return None
    match = _REWARD.fullmatch(text)
    if match is None or match.group(1) not in _REWARDS:
        raise NoTranscript("bad_reward", f"after finish stands {text[:80]!r}, no reward of {', '.join(_REWARDS)}")
    return _REWARDS[match.group(1)]
