"""A stage as a command that is interrupted at a moment, and what it has said."""

import logging
import os
import signal
import threading

from fireact_ray.cli.main import run_guarded

HOW_TO_GO_ON = "run the same command again to go on"


def command(action, *, interrupt_when, number=signal.SIGINT, then=lambda: None) -> int:
    """The exit code of `action` as a command, interrupted as soon as `interrupt_when` holds; `then` is called next."""
    over, failed = threading.Event(), []

    def watch():
        while not over.wait(0.02):
            try:
                happens = interrupt_when()
            except BaseException as error:  # noqa: BLE001 (raised where the command has ended)
                failed.append(error)
                happens = True
            if happens:
                os.kill(os.getpid(), number)
                then()
                return

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        run_guarded(action)
    except SystemExit as ended:
        return ended.code
    finally:
        over.set()
        watcher.join()
        if failed:
            raise failed[0]
    return 0


class Said(logging.Handler):
    """What the stages have logged so far. `at`: called by whoever says a text with such words, before he goes on."""

    def __init__(self):
        super().__init__(logging.INFO)
        self.text = ""
        self.at = {}

    def emit(self, record):
        for words, call in self.at.items():
            if words in record.getMessage():
                call()
        self.text += record.getMessage() + "\n"
