"""A call of a tool as models write it in, what it says out: one name, one argument, or nothing.

    search["x"]   search("x")   search(query="x")   search【x】   search[x          behind an `Action:` label
    {"action": "search", "action_input": "x"}   {"name": "search", "arguments": {"query": "x"}}
    search, and the argument behind an `Action Input:` label

An argument is a part of the text, never put together: a call with several arguments says nothing here, unless one of
them is known to be the query or the answer and the others are numbers or flags.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

from fireact_ray.core.boxed import whole_box
from fireact_ray.core.call_objects import ARGUMENT_KEYS, FINAL, argument_of, folded_name, object_at, said_by
from fireact_ray.core.grammar import TOOL, balanced, canonical_argument
from fireact_ray.core.json_text import NotJson, parse
from fireact_ray.core.tool_specs import ARGUMENTS

Names = Mapping[str, str]  # what a tool may be called, folded, -> its name here

TOOLS: Names = {tool: tool for tool in ARGUMENTS} | dict.fromkeys(FINAL, "finish")

_OPENING = re.compile(r"(\s*)(?:(```[\w-]*\s+|`{1,3}|\*{1,3}|__)(?=\S))?")
_CLOSING = re.compile(r"[ \t]*(?:`{1,3}|\*{1,3}|__)")
_NAMED = re.compile(r"(\w[\w. -]{0,63}?)(?:`{1,3}|\*{1,3})?([ \t]*)([\[［【「『〔(（])")
_TOKEN = re.compile(TOOL)
_SQUARE = str.maketrans("［【「『〔］】」』〕", "[[[[[]]]]]")
_ROUND = str.maketrans("(（)）[]", "[[]]()")
_KEYED = re.compile(r"(\w+)[ \t]*[=:][ \t]*(.+)", re.DOTALL)
_ANOTHER_KEY = re.compile(r",[ \t]*\w+[ \t]*=")
_PARAGRAPH_END = re.compile(r"\n[ \t]*\n")

_QUOTES = {'"': '"', "'": "'", "“": "”", "‘": "’", "«": "»"}
_NO_TOOL = {"none", "n/a", "null", "no_action", "no"}


class Call(NamedTuple):
    """`argument` is canonical and not empty; `end`: where the call ends in the text that it was read from."""

    tool: str
    argument: str
    end: int
    repairs: tuple[str, ...] = ()
    thought: str = ""  # of a JSON object that holds one


def tool_names(aliases: Mapping[str, str]) -> Names:
    """The tools by every name: their own, and those that a recipe adds."""
    return {**TOOLS, **{folded_name(alias): tool for alias, tool in aliases.items()}}


def read_call(text: str, names: Names, given: str | None = None) -> Call | None:
    """The call at the head of `text`, which stood behind an `Action:` label. `given`: what stood behind
    `Action Input:`.

    None for anything else, and where the argument is unclear or empty.
    """
    opening = _OPENING.match(text)
    space, mark = opening.groups() if opening else ("", None)
    start = opening.end() if opening else 0
    body = text[start:]
    repairs = _mark_repairs(mark) | ({"line_break"} if "\n" in space and body[:1] != "{" else set())
    if body.startswith("{"):
        call = _of_json(body, names)
    elif (named := _NAMED.match(body)) is not None:
        call = _of_brackets(body, named, names)
    else:
        call = _of_input(body, given, names)
    if call is None:
        return None
    closing = _CLOSING.match(text, start + call.end) if mark else None
    end = closing.end() if closing else start + call.end
    return call._replace(end=end, repairs=tuple(repairs.union(call.repairs)))


def read_json_call(text: str, names: Names) -> Call | None:
    """The call that a JSON object says, which is all of `text`."""
    call = _of_json(text, names)
    return call if call is not None and not text[call.end :].strip(" \t\n`") else None


def read_answer(text: str, opened: str = "") -> str:
    """What stands behind an answer's label: its first paragraph, without marks around the whole of it, canonical.
    `opened`: the mark before the label that was not closed behind it."""
    answer = _PARAGRAPH_END.split(text.strip(), maxsplit=1)[0].strip().removesuffix(opened).strip()
    for mark in ("**", "__", "`", "*"):
        if answer.startswith(mark) and answer.endswith(mark) and len(answer) > 2 * len(mark):
            answer = answer[len(mark) : -len(mark)].strip()
    inner = whole_box(answer.rstrip("."))
    return canonical_argument(answer if inner is None else inner)


def _mark_repairs(mark: str | None) -> set[str]:
    if not mark:
        return set()
    return {"code_fence"} if "`" in mark else {"bold_label"}


def tool_of(name: str, names: Names) -> tuple[str, set[str]] | None:
    """The tool of that name and what was repaired in it. A name that nobody knows stays as it is, if it is one word."""
    tool = names.get(folded_name(name))
    if tool is None:
        return (name, set()) if _TOKEN.fullmatch(name) and folded_name(name) not in _NO_TOOL else None
    if name == tool:
        return tool, set()
    if name.casefold() == tool:
        return tool, {"letter_case"}
    return tool, {"final_answer" if folded_name(name) in FINAL else "tool_name"}


def _made(name: str, argument: str | None, end: int, repairs: set[str], names: Names) -> Call | None:
    found = tool_of(name, names)
    argument = canonical_argument(argument) if argument else ""
    if found is None or not argument:
        return None
    tool, renamed = found
    return Call(tool, argument, end, tuple(repairs | renamed))


def _of_brackets(body: str, named: re.Match[str], names: Names) -> Call | None:
    name, space, bracket = named.groups()
    marked = {"code_fence"} if "`" in named.group() else {"bold_label"} if "*" in named.group() else set()
    start = named.end()
    if bracket in "(（":
        if space and folded_name(name) not in names:
            return None  # prose: "look (again)"
        return _of_parentheses(name, body, start, marked | {"quoted_argument"}, names)
    rest = body[start:]
    if bracket == "[" and (argument := balanced(rest)) is not None:
        return _made(name, argument, start + len(argument) + 1, marked, names)
    flat = rest.translate(_SQUARE)
    repairs = marked | ({"full_width"} if flat != rest or bracket != "[" else set())
    if (inner := balanced(flat)) is not None:
        return _made(name, rest[: len(inner)], start + len(inner) + 1, repairs, names)
    paragraph = _PARAGRAPH_END.split(flat, maxsplit=1)[0]
    if (inner := balanced(paragraph.replace("\n", " "))) is not None:
        return _made(name, rest[: len(inner)], start + len(inner) + 1, repairs | {"line_break"}, names)
    line = rest.strip()
    if "\n" in line:
        return None
    return _made(name, line.rstrip("`*"), len(body), repairs | {"missing_bracket"}, names)


def _of_parentheses(name: str, body: str, start: int, repairs: set[str], names: Names) -> Call | None:
    rest = body[start:]
    if rest.lstrip().startswith("{"):
        found = object_at(rest.lstrip())
        if found is None:
            return None
        end = start + len(rest) - len(rest.lstrip()) + found[1]
        closed = re.compile(r"\s*[)）]").match(body, end)
        return _made(name, argument_of(found[0]), closed.end(), repairs, names) if closed else None
    line = rest.partition("\n")[0]
    inner = balanced(line.translate(_ROUND))
    if inner is None or line[: len(inner)].strip()[:1] in _QUOTES:  # a quotation may hold a parenthesis without partner
        line = line.rstrip(" \t.;`*")
        end, closed_by = len(line), line[-1:]
        inner = line[:-1] if closed_by in ")）" and closed_by else line
        if closed_by not in ")）" or not closed_by:
            repairs = repairs | {"missing_bracket"}
            if _unquoted(inner.strip()) is None:
                return None
    else:
        inner = line[: len(inner)]
        end = len(inner) + 1
        if line[end:].strip(" \t.;`*"):
            return None  # more stands in the line
    return _made(name, _argument(inner.strip()), start + end, repairs, names)


def _argument(text: str) -> str | None:
    """What stands between parentheses."""
    keyed = _KEYED.fullmatch(text)
    if keyed is not None and (quoted := _unquoted(keyed.group(2).strip())) is not None:
        return quoted
    if keyed is not None and keyed.group(1).lower() in ARGUMENT_KEYS:
        text = keyed.group(2).strip()
    elif (quoted := _unquoted(text)) is not None:
        return quoted
    unclear = text[:1] in _QUOTES or _ANOTHER_KEY.search(text) is not None
    return None if unclear else text


def _unquoted(text: str) -> str | None:
    """The text between quotation marks that stand around the whole of it; None where there are none or more."""
    opening, closing = text[:1], text[-1:]
    if len(text) < 2 or _QUOTES.get(opening) != closing:
        return None
    inner = text[1:-1]
    if opening == '"' and "\\" in inner:
        try:
            found = parse(text, strict=False)
        except NotJson:
            return None
        return found if isinstance(found, str) else None
    if opening == "'":
        inner = inner.replace("\\'", "\0")  # so that none is left that could end the text
        return None if re.search(r"'\s*[,=]|,\s*'", inner) else inner.replace("\0", "'")
    return None if opening in inner or closing in inner else inner


def _of_input(body: str, given: str | None, names: Names) -> Call | None:
    name = body.strip().strip("`*_\"'[]. \t\n")
    if given is None or "\n" in name:
        return None
    return _made(name, _given(given), len(body), {"action_input"}, names)


def _given(text: str) -> str | None:
    opening = _OPENING.match(text)
    if opening is not None and opening.group(2):
        text = text[opening.end() :].rstrip().rstrip("`*_")
    text = text.strip()
    if text.startswith("{"):
        found = object_at(text)
        return None if found is None else argument_of(found[0])
    paragraph = _PARAGRAPH_END.split(text, maxsplit=1)[0].strip()
    quoted = _unquoted(paragraph)
    return paragraph if quoted is None else quoted


def _of_json(body: str, names: Names) -> Call | None:
    found = object_at(body)
    if found is None:
        return None
    value, end = found
    said = said_by(value)
    if said is None:
        return None
    name, argument, thought = said
    call = _made(name, argument, end, {"json_action"}, names)
    return call._replace(thought=thought) if call is not None else None
