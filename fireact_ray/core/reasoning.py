"""Hidden reasoning in a reply: what a model thought before it spoke, found by its marks and cut off.

    <think>Maybe finish[Rome]?</think>Thought: I look it up.  ->  "Maybe finish[Rome]?", "Thought: I look it up."

Servers that split it off themselves tell it in a field of its own; the others, and everybody's data, leave the marks in
the text. A mark counts where it stands as one: an opening one begins its line (or follows `Thought:`), and a closing
one without an opening one (chat templates write that into the prompt) ends or begins its line, or what the model says
follows at once. In the middle of a line a mark is a quotation, and the text is left as it is.

    pairs      <think> </think>, and <thinking>, <thought>, <reasoning>, <seed:think> ... in any case;
               [THINK] [/THINK]; <|begin_of_thought|> <|end_of_thought|>; <|START_THINKING|> <|END_THINKING|>;
               <|channel>thought <channel|>; <details type="reasoning"> </details>;
               Here is my thought process: ... Here is my response:
    channels   <|channel|>analysis<|message|>...<|end|><|start|>assistant<|channel|>final<|message|>..., also where the
               marks were dropped and only their words stayed: analysis...assistantfinal...

An opening mark that nothing closes hides all that follows: such a reply was cut while the model was thinking.
"""

from __future__ import annotations

import re

_TAGS = r"(?:[a-z]\w*:)?(?:ant)?(?:think(?:ing)?|thoughts?|reason(?:ing)?|reflection|scratchpad|analysis)(?::\w+)?"
_PIPED = r"(?:think(?:ing)?|thought|reason(?:ing)?)"
_MARK = re.compile(
    rf"<(?P<tag_end>/?)(?P<tag>{_TAGS})(?:\s[^<>/]*)?>|"
    rf"<\|(?P<pipe_end>/|end_(?:of_)?)?(?:(?:begin|start)_(?:of_)?)?(?P<pipe>{_PIPED})(?P<pipe_tail>_(?:start|end))?\|>|"
    r"\[(?P<square_end>/?)THINK\]|◁(?P<kite_end>/?)think▷|"
    r"<\|channel>(?P<channel>thought)|(?P<channel_end><channel\|>)|"
    r"(?P<details><details\s+type=\"reasoning\"[^<>]*>)|(?P<details_end></details>)|"
    r"(?P<said>Here(?: is|'s) my thought process:)|(?P<said_end>Here(?: is|'s) my response:)",
    re.IGNORECASE,
)
_ALONE = {"channel", "details", "said"}  # of these a closing mark without an opening one is ordinary text
_BARE_HINTS = ("analysis", "Here")
_LONGEST_LABEL = 40
_MOST_ROUNDS = 8  # what then still holds marks is no reply that anybody meant
_LABEL = re.compile(
    r"[ \t]*(?:(?:\**Thought(?: \d+)?:\**|<(?:response|answer|output|solution)>)[ \t]*)*", re.IGNORECASE
)
_SPEAKS = re.compile(
    r"[ \t]*(?:\*{0,2}(?:Thought|Action|Observation|Final Answer)\b|[\r\n]|$)|[\w<#{\[]", re.IGNORECASE
)
_QUOTES = "`'\"\u2018\u2019\u201c\u201d"

_CHANNEL = re.compile(
    r"(?P<ended><\|end\|>\s*)?(?:<\|start\|>[^<\n]*)?<\|channel\|>\s*(?P<name>\w+)[^<\n]*"
    r"(?:<\|constrain\|>[^<\n]*)?<\|message\|>"
)
_CONTROL = re.compile(r"<\|(?:end|return|call)\|>|<\|start\|>\w*")
_BARE = re.compile(r"analysis(?=[A-Z\s])(.*)assistant\s*final", re.DOTALL)
_BARE_CUT = re.compile(r"analysis[A-Z]")

_WRAPPER = re.compile(
    r"\s*(?:<(response|answer|output|solution)>(.*?)(?:</\1>\s*)?|"
    r"<\|(?:begin_of_solution|START_RESPONSE|START_TEXT)\|>(.*?)(?:<\|(?:end_of_solution|END_RESPONSE|END_TEXT)\|>\s*)?)",
    re.DOTALL | re.IGNORECASE,
)


def split_reasoning(text: str) -> tuple[str, str]:
    """What is hidden, and what is said; `text` itself, the same object, where no mark stands in it.

    What is said is split no further by a second call. It is empty where the model did not come to an end of thinking.
    """
    if not ("<" in text or "THINK]" in text or "◁" in text or text.startswith(_BARE_HINTS)):
        return "", text
    hidden: list[str] = []
    for _ in range(_MOST_ROUNDS):
        found = _split_channels(text) or _split_bare(text) or _split_pairs(text)
        if found is None:
            break
        hidden += found[0]
        text = _unwrapped(found[1].strip())
    else:
        hidden.append(text)
        text = ""
    return "\n\n".join(part for piece in hidden if (part := piece.strip())), text


def _split_channels(text: str) -> tuple[list[str], str] | None:
    marks = list(_CHANNEL.finditer(text)) if "<|channel|>" in text else []
    if not marks or not (marks[0]["ended"] or _begins_line(text, marks[0].start(), 0)):
        return None
    hidden: list[str] = [text[: marks[0].start()]]
    said: list[str] = []
    for i, mark in enumerate(marks):
        end = marks[i + 1].start() if i + 1 < len(marks) else len(text)
        body = _CONTROL.sub("", text[mark.end() : end])
        (said if mark["name"] == "final" else hidden).append(body)
    return hidden, "".join(said)


def _split_bare(text: str) -> tuple[list[str], str] | None:
    if not text.startswith("analysis"):
        return None
    if (head := _BARE.match(text)) is not None:
        return [head[1]], text[head.end() :]
    return ([text[len("analysis") :]], "") if _BARE_CUT.match(text) else None


def _split_pairs(text: str) -> tuple[list[str], str] | None:
    """None where no mark counts."""
    hidden: list[str] = []
    said: list[str] = []
    done, opened, quoted = 0, "", -1
    counts = False
    for mark in _MARK.finditer(text):
        name, is_end = _name_of(mark)
        if opened:
            if is_end and name == opened:
                hidden.append(text[done : mark.start()])
                done, opened = mark.end(), ""
        elif not is_end and _begins_line(text, mark.start(), done):
            said.append(text[done : mark.start()])
            done, opened, counts = mark.end(), name, True
        elif not is_end:
            quoted = mark.end()
        elif name not in _ALONE and _ends_thinking(text, mark, done, quoted):
            hidden += [*said, text[done : mark.start()]]
            said, done, counts = [], mark.end(), True
    if not counts:
        return None
    (hidden if opened else said).append(text[done:])
    return hidden, "".join(said)


def _name_of(mark: re.Match[str]) -> tuple[str, bool]:
    """Of what a mark is a mark, and whether it is a closing one."""
    if mark["tag"]:  # <thinking> is also closed by </think>
        return mark["tag"].lower().removesuffix("ing").removesuffix("s"), bool(mark["tag_end"])
    if mark["pipe"]:
        is_end = bool(mark["pipe_end"]) or (mark["pipe_tail"] or "").lower() == "_end"
        return f"|{mark['pipe'].lower()}", is_end
    for name in ("channel", "details", "said"):
        if mark[name] or mark[f"{name}_end"]:
            return name, not mark[name]
    name = "square" if mark["square_end"] is not None else "kite"
    return name, bool(mark[f"{name}_end"])


def _begins_line(text: str, start: int, done: int) -> bool:
    """Nothing stands before it on its line, or nothing that was not cut off, but for a label of the grammar."""
    earliest = max(done, start - _LONGEST_LABEL)
    line = text.rfind("\n", earliest, start) + 1 or earliest
    if line == earliest > done and text[earliest - 1] != "\n":
        return False
    return _LABEL.fullmatch(text, line, start) is not None


def _ends_thinking(text: str, mark: re.Match[str], done: int, quoted: int) -> bool:
    """Of a closing mark without an opening one. `quoted`: where an opening one ends that does not count, or -1."""
    if _begins_line(text, mark.start(), done):
        return True
    if quoted >= 0 and text.find("\n", quoted, mark.start()) < 0:  # a pair in the middle of a line
        return False
    return text[mark.start() - 1] not in _QUOTES and _SPEAKS.match(text, mark.end()) is not None


def _unwrapped(text: str) -> str:
    """Without the tags that some models put around what they say after they thought."""
    wrapped = _WRAPPER.fullmatch(text)
    return text if wrapped is None else (wrapped[2] or wrapped[3] or "").strip()
