"""One command at a time works in a run folder: it holds the lease, `lease.json`, until it ends or dies.

The holder writes the file anew every 20 s. Where it can be looked up (this boot, this container), it is dead when its
process is. Elsewhere it is dead when the file has not changed for 90 s of the time of whoever looks: clocks of two
machines are never compared. Two that begin within the same second are told apart by reading the file back; on a local
folder they also take turns.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.json_text import parse
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.utils.processes import Process, is_alive, this_process

if TYPE_CHECKING:
    from fireact_ray.recipe.schema import Recipe

FILE = "lease.json"
RENEWED_S = 20.0
DEAD_S = 90.0
_LOOK_S = 1.0
_SETTLED_S = 2.0  # after which a file on a remote filesystem is the one that stays

Stage = TypeVar("Stage", bound=Callable[..., Any])

_HELD: ContextVar[frozenset[str]] = ContextVar("held", default=frozenset())

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Owner:
    """`since`: by its own clock, for people to read. `beats`: counts its signs of life, so that the file changes."""

    id: str
    command: str
    process: Process
    since: str
    beats: int = 0

    @classmethod
    def of(cls, command: str) -> Owner:
        since = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
        return cls(uuid.uuid4().hex, command, this_process(), since)

    @classmethod
    def from_json(cls, content: bytes) -> Owner | None:
        """None where the file is damaged."""
        try:
            fields = parse(content)
            return cls(**{**fields, "process": Process(**fields["process"])})
        except (ValueError, TypeError, KeyError):
            return None

    def to_json(self, beats: int = 0) -> str:
        return json.dumps({**asdict(self), "beats": beats}, indent=2) + "\n"


def leased(command: str) -> Callable[[Stage], Stage]:
    """A stage that takes a recipe: while it runs, no other one does in the recipe's run folder.

    It raises InputError, which names the other one. A stage within a stage shares its lease.
    """

    def decorate(stage: Stage) -> Stage:
        @wraps(stage)
        def run(recipe: Recipe, *arguments: Any, **named: Any) -> Any:
            with run_lease(Folder(recipe.run_dir), command):
                return stage(recipe, *arguments, **named)

        return cast(Stage, run)

    return decorate


@contextmanager
def run_lease(
    run: Folder,
    command: str,
    *,
    wait: Callable[[float], None] = time.sleep,
    alive: Callable[[Process], bool | None] = is_alive,
) -> Iterator[None]:
    """Raises InputError where another command holds the folder."""
    held = _HELD.get()
    if run.uri in held:
        yield
        return
    created, owner, stop = _missing(run), Owner.of(command), threading.Event()
    renewing = threading.Thread(target=_renew, args=(run, owner, stop), name="lease", daemon=True)
    token = _HELD.set(held | {run.uri})
    try:  # from here on, as an interrupt may come behind the writing of the file
        _acquire(run, owner, wait, alive)
        renewing.start()
        yield
    finally:
        stop.set()
        if renewing.is_alive():
            renewing.join()
        _HELD.reset(token)
        _release(run, owner, created)


def holder(run: Folder) -> Owner | None:
    """Who has the lease, dead or alive; None where nobody has, or nobody can tell."""
    content = _content(run)
    return None if content is None else Owner.from_json(content)


def _acquire(run: Folder, owner: Owner, wait: Callable[[float], None], alive: Callable[[Process], bool | None]) -> None:
    left = _left_by_the_dead(run, wait, alive)
    with _turn(run) as alone:
        now = _content(run)
        if now is not None and now != left:  # another one came while this one looked
            raise InputError(_refusal(run, Owner.from_json(now)))
        run.write(FILE, owner.to_json())
    if not alone:
        wait(_SETTLED_S)
    there = holder(run)
    if there is None or there.id != owner.id:
        raise InputError(_refusal(run, there))


def _left_by_the_dead(
    run: Folder, wait: Callable[[float], None], alive: Callable[[Process], bool | None]
) -> bytes | None:
    """The lease of an owner who is dead, None where there is none; one who cannot be looked up is watched for a sign of
    life. Raises InputError where the owner lives."""
    first = _content(run)
    if first is None:
        return None
    owner = Owner.from_json(first)
    living = None if owner is None else alive(owner.process)
    if living is None:
        who = "somebody (its lease.json is damaged)" if owner is None else _who(owner)
        logger.info("%s was held by %s: waiting up to %.0f s for a sign of life", run.uri, who, DEAD_S)
        for _ in range(int(DEAD_S / _LOOK_S)):
            wait(_LOOK_S)
            if (now := _content(run)) is None:
                return None
            if now != first:
                raise InputError(_refusal(run, Owner.from_json(now)))
    if living:
        raise InputError(_refusal(run, owner))
    return first


@contextmanager
def _turn(run: Folder) -> Iterator[bool]:
    """Alone among the processes that take a lease of the folder; False where its filesystem has no locks."""
    with ExitStack() as held:
        alone = False
        if run.is_local:
            with suppress(OSError):  # what keeps the folder from being written is said by the write itself
                run.local_path.mkdir(parents=True, exist_ok=True)
                folder = os.open(run.local_path, os.O_RDONLY)
                held.callback(os.close, folder)
                fcntl.flock(folder, fcntl.LOCK_EX)
                alone = True
        yield alone


def _renew(run: Folder, owner: Owner, stop: threading.Event) -> None:
    beats = 0
    while not stop.wait(RENEWED_S):
        beats += 1
        try:
            there = holder(run)
            if there is not None and there.id != owner.id:
                logger.error("%s was taken by %s while this command did not answer: it stops", run.uri, _who(there))
                signal.pthread_kill(threading.main_thread().ident or 0, _heeded())
                return
            run.write(FILE, owner.to_json(beats))
        except (DataError, OSError) as error:  # as while the disk is full; the next time may do
            logger.warning("the lease of %s could not be renewed: %s", run.uri, error)


def _heeded() -> signal.Signals:
    """SIGINT, which is a KeyboardInterrupt also where nobody took care of signals, but where a shell had it ignored."""
    return signal.SIGTERM if signal.getsignal(signal.SIGINT) == signal.SIG_IGN else signal.SIGINT


def _release(run: Folder, owner: Owner, created: list[Path]) -> None:
    """The file goes, and with it the folders that were made for it alone."""
    with suppress(DataError, OSError):  # what stays there is that of a dead process
        there = holder(run)
        if there is not None and there.id == owner.id:
            run.delete(FILE)
    _remove_empty(created)


def _remove_empty(folders: list[Path]) -> None:
    for folder in folders:
        try:
            folder.rmdir()
        except OSError:  # something was made there
            return


def _missing(run: Folder) -> list[Path]:
    """The folders that the lease's file will bring about, from the inside out."""
    if not run.is_local:
        return []
    path = run.local_path
    return [folder for folder in (path, *path.parents) if not folder.exists()]


def _content(run: Folder) -> bytes | None:
    try:
        return run.read(FILE)
    except (FileNotFoundError, NotADirectoryError):  # what cannot be a folder is said by the write
        return None
    except OSError as error:
        raise DataError(f"{run.uri}/{FILE}: cannot be read ({error}). Give access to it, or delete it.") from None


def _refusal(run: Folder, owner: Owner | None) -> str:
    if owner is None:
        return f"{run.uri}: another command has just begun there. Wait until it has ended, and run this one again."
    stop = f"or stop it (kill {owner.process.pid} on {owner.process.host}), "
    return (
        f"{run.uri}: {_who(owner)} is at work there since {owner.since}. Two commands in one folder would pay twice. "
        f"Wait until it has ended, {stop}and run this one again; `fireact status {run.uri}` shows how it gets on."
    )


def _who(owner: Owner) -> str:
    return f"`{owner.command}` (pid {owner.process.pid} on {owner.process.host})"
