"""One command at a time works in a run folder: it holds the lease, `lease.json`, until it ends or dies.

The holder writes the file anew every 20 s. Where it can be looked up (this boot, this container), it is dead when its
process is. Elsewhere it is dead when the file has not changed for 90 s of the time of whoever looks: clocks of two
machines are never compared. Of two that begin at once one is refused, on a disk as in a bucket (lease_file).
"""

from __future__ import annotations

import json
import logging
import signal
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.json_text import parse
from fireact_ray.core.storage.folder import Folder
from fireact_ray.core.storage.lease_file import LeaseFile, ObjectLease, Seen, lease_file
from fireact_ray.core.utils.processes import Process, is_alive, this_process

if TYPE_CHECKING:
    from fireact_ray.recipe.schema import Recipe

RENEWED_S = 20.0
DEAD_S = 90.0
_LOOK_S = 1.0

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
    file = lease_file(run)
    created, owner, stop = _missing(run), Owner.of(command), threading.Event()
    holding = threading.Thread(target=_hold, args=(run, file, owner, created, stop), name="lease", daemon=True)
    token = _HELD.set(held | {run.uri})
    try:  # from here on, as an interrupt may come behind the writing of the file
        _acquire(run, file, owner, wait, alive)
        holding.start()
        yield
    finally:
        _HELD.reset(token)
        stop.set()
        if holding.ident is None:
            _release(file, owner, created)
        else:
            holding.join()


def holder(run: Folder) -> Owner | None:
    """Who has the lease, dead or alive; None where nobody has, or nobody can tell."""
    seen = lease_file(run).read()
    return None if seen is None else Owner.from_json(seen.content)


def _acquire(
    run: Folder,
    file: LeaseFile,
    owner: Owner,
    wait: Callable[[float], None],
    alive: Callable[[Process], bool | None],
) -> None:
    left = _left_by_the_dead(run, file, wait, alive)
    if isinstance(file, ObjectLease):
        file.demand_conditions()
    if not file.replace(left, owner.to_json().encode(), wait):  # another one came while this one looked
        raise InputError(_refusal(run, holder(run)))


def _left_by_the_dead(
    run: Folder, file: LeaseFile, wait: Callable[[float], None], alive: Callable[[Process], bool | None]
) -> Seen | None:
    """The lease of an owner who is dead, or that is free; one who cannot be looked up is watched for a sign of life.
    Raises InputError where the owner lives."""
    first = file.read()
    if first is None or first.is_free:
        return first
    owner = Owner.from_json(first.content)
    living = None if owner is None else alive(owner.process)
    if living is None:
        who = "somebody (its lease.json is damaged)" if owner is None else _who(owner)
        logger.info("%s was held by %s: waiting up to %.0f s for a sign of life", run.uri, who, DEAD_S)
        for _ in range(int(DEAD_S / _LOOK_S)):
            wait(_LOOK_S)
            now = file.read()
            if now is None or now.is_free:
                return now
            if now != first:
                raise InputError(_refusal(run, Owner.from_json(now.content)))
    if living:
        raise InputError(_refusal(run, owner))
    return first


def _hold(run: Folder, file: LeaseFile, owner: Owner, created: list[Path], stop: threading.Event) -> None:
    """Show signs of life until `stop`, then let go: in a thread, which no interrupt keeps from it."""
    _renew(run, file, owner, stop)
    _release(file, owner, created)


def _renew(run: Folder, file: LeaseFile, owner: Owner, stop: threading.Event) -> None:
    beats = 0
    while not stop.wait(RENEWED_S):
        beats += 1
        try:
            seen = file.read()
            there = None if seen is None else Owner.from_json(seen.content)
            if there is not None and there.id != owner.id:
                logger.error("%s was taken by %s while this command did not answer: it stops", run.uri, _who(there))
                signal.pthread_kill(threading.main_thread().ident or 0, _heeded())
                return
            file.replace(seen, owner.to_json(beats).encode(), stop.wait)  # else the next look says who has it
        except (DataError, InputError, OSError) as error:  # as while the disk is full; the next time may do
            logger.warning("the lease of %s could not be renewed: %s", run.uri, error)


def _heeded() -> signal.Signals:
    """SIGINT, which is a KeyboardInterrupt also where nobody took care of signals, but where a shell had it ignored."""
    return signal.SIGTERM if signal.getsignal(signal.SIGINT) == signal.SIG_IGN else signal.SIGINT


def _release(file: LeaseFile, owner: Owner, created: list[Path]) -> None:
    """The file goes, and with it the folders that were made for it alone."""
    with suppress(DataError, InputError, OSError):  # what stays there is that of a dead process
        seen = file.read()
        there = None if seen is None else Owner.from_json(seen.content)
        if seen is not None and there is not None and there.id == owner.id:
            file.remove(seen)
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
