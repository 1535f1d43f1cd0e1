"""Calls that wait, beside the one who asked: in threads that nobody waits for when the process ends."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from typing import TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


def beside(call: Callable[[], Answer]) -> Future[Answer]:
    """Begun at once. A main thread that waits for its result can be interrupted, whatever the call itself heeds."""
    future: Future[Answer] = Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # noqa: BLE001 (raised where it is waited for)
            future.set_exception(error)

    threading.Thread(target=run, name="beside", daemon=True).start()
    return future


def side_by_side(call: Callable[[Asked], Answer], asked: Iterable[Asked], at_once: int) -> Iterator[Answer]:
    """What `call` makes of each, in their order. At most `at_once` are begun and not taken yet, so that no
    more answers are held; where one raises, so does this, in its turn."""
    begun: deque[Future[Answer]] = deque()
    for one in asked:
        begun.append(beside(partial(call, one)))
        if len(begun) == at_once:
            yield begun.popleft().result()
    while begun:
        yield begun.popleft().result()
