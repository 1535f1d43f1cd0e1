"""What scripted agents behind the page are asked and say, and how a test asks them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from page_server import HELD

from fireact_ray.core.errors import ModelUnavailable
from fireact_ray.serving.page.offer import Example

PHONE = {"viewport": {"width": 360, "height": 780}, "has_touch": True, "is_mobile": True}
AUTHOR = "Who wrote The Road to Zem?"
MANY = "Which of ten lakes is the deepest?"
EXAMPLES = (Example("1hop", AUTHOR), Example("2hop", MANY))

_SEARCH_AUTHOR = "Thought: I need the author.\nAction: search[The Road to Zem author]"
_FINISH = "Thought: Ila Dun wrote it.\nAction: finish[Ila Dun]"
_OTHERS = [f"Thought: Lake {n} next.\nAction: search[lake {n} depth]" for n in range(6)]
TEXTS = {
    "The Road to Zem author": "The Road to Zem is a novel by Ila Dun.",
    "(held) slow": "Slow but found.",
    "wordy": "The road is long. " * 100,
    **{f"lake {n} depth": f"Lake {n} is {n} m deep." for n in range(6)},
}
TUNED = {
    "And where was that author born?": ["Thought: I know it.\nAction: finish[Orrin]"],
    AUTHOR: [_SEARCH_AUTHOR, _FINISH],
    "held model": [_SEARCH_AUTHOR, HELD + _FINISH],
    "held search": ["Thought: It is slow.\nAction: search[(held) slow]", _FINISH],
    MANY: [*_OTHERS, "Thought: Lake 5.\nAction: finish[Lake 5]"],
    "no end": _OTHERS + _OTHERS,
    "right to left": ["Thought: أعرف ذلك 1.\nAction: finish[إيلا 7]"],
    "goes down": [_SEARCH_AUTHOR, ModelUnavailable("down")],
    "is cut": [_SEARCH_AUTHOR, HELD + _FINISH],
    "ends early": [_SEARCH_AUTHOR, HELD + _FINISH],
    "wordy": ["Thought: Words.\nAction: search[wordy]", "Neither thought nor action.", _FINISH],
}
BASE = {**TUNED, AUTHOR: ["Thought: I know it.\nAction: finish[Ada Lom]"]}


def cut_short(app: Any) -> Callable:
    """`app`, whose answer to a question that says so is cut, or ends as if it were whole."""

    async def cutting(scope, receive, send):
        asked, is_over = b"", False

        async def heard():
            nonlocal asked
            message = await receive()
            asked += message.get("body", b"")
            return message

        async def told(message):
            nonlocal is_over
            is_last = b"response.completed" in message.get("body", b"")
            if b"is cut" in asked and is_last:
                raise ConnectionResetError
            if b"ends early" in asked and is_last:
                await send({"type": "http.response.body"})
                is_over = True
            if not is_over:
                await send(message)

        await app(scope, heard, told)

    return cutting


def ask(page: Any, question: str) -> None:
    page.locator("#question").fill(question)
    page.keyboard.press("Enter")


def texts(page: Any, selector: str) -> list[str]:
    # In one go: what a locator has found may be drawn anew before it is read, and has no lines then.
    return page.evaluate("selector => [...document.querySelectorAll(selector)].map((one) => one.innerText)", selector)
