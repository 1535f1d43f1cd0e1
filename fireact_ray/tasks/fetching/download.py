"""A file over HTTP, whole or not at all: resumed where it broke off, checked by length and checksum, renamed last.

What arrived so far stays in NAME.part, also when the command is killed. It is gone on with where a checksum will prove
the whole, or where the server says that the file is still the same (NAME.part.from remembers by what).
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import shutil
from dataclasses import dataclass
from io import BufferedRandom
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import aiohttp

from fireact_ray.core.errors import DataError, InputError
from fireact_ray.core.json_text import NotJson, parse
from fireact_ray.core.net.http import USER_AGENT, problem_of
from fireact_ray.core.net.proxies import proxy_for
from fireact_ray.core.storage.part_file import part_file, part_of
from fireact_ray.core.utils.progress import Steps
from fireact_ray.core.utils.text import bytes_text
from fireact_ray.tasks.fetching.ranges import body_of, redirect_problem, total_of, validator_of
from fireact_ray.tasks.fetching.sources import RemoteFile

_CHUNK = 1 << 20
_KB = 1000
_REDIRECTS = (301, 302, 303, 307, 308)
_PASSING = (408, 425, 429)
_OTHER_THINGS = {
    b"<!doctype html": "a web page",
    b"<html": "a web page",
    b"<?xml": "XML",
    b"version https://git-lfs.github.com": "a pointer of Git LFS",
}


@dataclass(frozen=True, slots=True)
class Policy:
    """`max_idle_rounds`: over all URLs, in which not one byte came; the waits between them double from `first_delay_s`
    to `max_delay_s`."""

    connect_timeout_s: float = 15.0
    read_timeout_s: float = 60.0
    max_idle_rounds: int = 4
    first_delay_s: float = 1.0
    max_delay_s: float = 30.0
    max_redirects: int = 5


PATIENT = Policy()


@dataclass(frozen=True, slots=True)
class _Failure:
    """`final`: this URL is not asked again."""

    problem: str
    final: bool = False


def download(remote: RemoteFile, path: Path, policy: Policy = PATIENT) -> str:
    """Fetch `remote` to `path`. Returns its SHA-256.

    Raises DataError naming every URL and what it answered, with what came kept; InputError where another command
    downloads it; WriteFailed where there is no room.
    """
    origin_file = path.with_name(f"{part_of(path).name}.from")
    try:
        with part_file(path, goes_on=True) as part:
            return asyncio.run(_Transfer(remote, path, part, origin_file, policy).run())
    finally:
        if not part_of(path).exists():
            origin_file.unlink(missing_ok=True)


class _Transfer:
    def __init__(self, remote: RemoteFile, path: Path, part: BufferedRandom, origin_file: Path, policy: Policy) -> None:
        self._remote, self._path, self._part, self._policy = remote, path, part, policy
        self._origin_file = origin_file
        self._digest = ""

    async def run(self) -> str:
        urls, problems, idle, delay_s = list(self._remote.urls), dict[str, str](), 0, self._policy.first_delay_s
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=self._policy.connect_timeout_s, sock_read=self._policy.read_timeout_s
        )
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
        if self._size == self._remote.bytes and self._wrong() is None:  # killed just before it was renamed
            return self._digest
        with Steps(f"{self._path.name}, KB", (self._remote.bytes or 0) // _KB) as steps:
            async with aiohttp.ClientSession(
                timeout=timeout, headers=headers, cookie_jar=aiohttp.DummyCookieJar(), auto_decompress=False
            ) as session:
                while True:
                    before = self._size
                    for url in tuple(urls):
                        failure = await self._try(session, url, steps)
                        if failure is None and (failure := self._wrong()) is None:
                            return self._digest
                        problems[url] = failure.problem
                        if failure.final:
                            urls.remove(url)
                    idle = 0 if self._size > before else idle + 1
                    if not urls or idle >= self._policy.max_idle_rounds:
                        raise self._failed(problems)
                    await asyncio.sleep(delay_s if idle else 0)
                    delay_s = min(2 * delay_s, self._policy.max_delay_s) if idle else self._policy.first_delay_s

    @property
    def _size(self) -> int:
        self._part.flush()
        return os.fstat(self._part.fileno()).st_size

    async def _try(self, session: aiohttp.ClientSession, url: str, steps: Steps) -> _Failure | None:
        """One request, with its redirects; None where all of the file is there."""
        asked, headers = url, self._resuming(url)
        try:
            for _ in range(self._policy.max_redirects + 1):
                proxy = proxy_for(os.environ, url)
                async with session.get(url, headers=headers, allow_redirects=False, proxy=proxy) as response:
                    if response.status not in _REDIRECTS:
                        return await self._take(response, asked, steps)
                    target = urljoin(url, response.headers.get("Location", ""))
                if (problem := redirect_problem(url, target)) is not None:
                    return _Failure(problem, final=True)
                url = target
            return _Failure(f"more than {self._policy.max_redirects} redirects", final=True)
        except TimeoutError:
            return _Failure(f"no answer in time, {self._size:,} bytes are here")
        except (InputError, aiohttp.InvalidURL) as error:  # of a proxy
            return _Failure(str(error), final=True)
        except (aiohttp.ClientError, ConnectionError) as error:
            return _Failure(f"{problem_of(error)}, {self._size:,} bytes are here")

    async def _take(self, response: aiohttp.ClientResponse, asked: str, steps: Steps) -> _Failure | None:
        if response.status == 416 and total_of(response.headers) == self._size:
            return None
        if response.status == 416:
            self._part.truncate(0)
            return _Failure("HTTP 416: what came before is none of this file")
        if response.status not in (200, 206):
            passing = response.status >= 500 or response.status in _PASSING
            return _Failure(f"HTTP {response.status}", final=not passing)
        body = body_of(response.status, response.headers)
        if body is None or body.start > self._size:
            self._part.truncate(0)
            return _Failure("it sends another part than the one that was asked for")
        if (refusal := self._unfit(response, body.total)) is not None:
            return refusal
        if body.start and not self._goes_on(response):
            self._part.truncate(0)
            return _Failure("it sends the rest of another file than the one that came before")
        self._demand_room(body.total)
        self._part.seek(body.start)
        self._part.truncate()
        self._remember(asked, response)
        return await self._write(response, body.start, body.total, steps)

    async def _write(
        self, response: aiohttp.ClientResponse, start: int, total: int | None, steps: Steps
    ) -> _Failure | None:
        at, expected = start, total if total is not None else self._remote.bytes
        async for chunk in response.content.iter_chunked(_CHUNK):
            if at == 0 and (thing := _other_thing(chunk)) is not None:
                return _Failure(f"it sends {thing} instead of the file", final=True)
            self._part.write(chunk)
            at += len(chunk)
            steps.set(at // _KB, max(at, expected or 0) // _KB)
        self._part.flush()
        if expected is not None and at != expected:
            return _Failure(f"it ends at {at:,} of {expected:,} bytes")
        return None if at else _Failure("it sends an empty file", final=True)

    def _unfit(self, response: aiohttp.ClientResponse, total: int | None) -> _Failure | None:
        """Before any byte is taken."""
        if response.headers.get("Content-Encoding", "identity") != "identity":
            return _Failure("it sends the file packed, though asked not to", final=True)
        if response.content_type == "text/html":
            return _Failure("it sends a web page instead of the file", final=True)
        if None not in (total, self._remote.bytes) and total != self._remote.bytes:
            return _Failure(f"it offers {total:,} bytes, and the file has {self._remote.bytes:,}", final=True)
        return None

    def _wrong(self) -> _Failure | None:
        """Where all bytes are there, and are not those of the file."""
        self._part.flush()
        self._part.seek(0)
        self._digest = hashlib.file_digest(self._part, "sha256").hexdigest()
        if self._remote.sha256 in (None, self._digest):
            return None
        self._part.truncate(0)
        return _Failure(f"it sent another file: SHA-256 {self._digest} instead of {self._remote.sha256}", final=True)

    def _resuming(self, url: str) -> dict[str, str]:
        """Headers that ask for the rest; none where nothing would prove that it is the rest of the same file."""
        if not self._size:
            return {}
        ask = {"Range": f"bytes={self._size}-"}
        if self._remote.sha256 is not None:
            return ask
        origin = self._origin()
        validator = origin.get("validator") if origin.get("host") == urlsplit(url).netloc else None
        return {**ask, "If-Range": validator} if validator else {}

    def _goes_on(self, response: aiohttp.ClientResponse) -> bool:
        """Whether a rest is of the file that came before: there are servers and caches that do not know If-Range."""
        return self._remote.sha256 is not None or validator_of(response.headers) == self._origin().get("validator")

    def _origin(self) -> dict[str, str | None]:
        """Of what is here: the host and the validator."""
        try:
            return parse(self._origin_file.read_bytes()) if self._origin_file.is_file() else {}
        except NotJson:
            return {}

    def _remember(self, asked: str, response: aiohttp.ClientResponse) -> None:
        if self._remote.sha256 is None:
            origin = {"host": urlsplit(asked).netloc, "validator": validator_of(response.headers)}
            self._origin_file.write_text(json.dumps(origin), encoding="utf-8")

    def _demand_room(self, total: int | None) -> None:
        wanted = (total or self._remote.bytes or 0) - self._size
        free = shutil.disk_usage(self._path.parent).free
        if wanted > free:
            raise DataError(
                f"{self._path}: {bytes_text(wanted)} are to come, and {bytes_text(free)} are free on that disk. "
                "Make room there, or name another folder by --to."
            )

    def _failed(self, problems: dict[str, str]) -> DataError:
        lines = "\n".join(f"  {url}: {problem}" for url, problem in problems.items())
        kept = f" {self._size:,} bytes of it are kept: the same command goes on there." if self._size else ""
        return DataError(
            f"{self._path.name} could not be downloaded:\n{lines}\n"
            f"Try again later, or get the file by other means and give it by --from.{kept}"
        )


def _other_thing(head: bytes) -> str | None:
    """What begins so, where it is what servers send instead of a file."""
    begins = head.lstrip()[:40].lower()
    return next((thing for mark, thing in _OTHER_THINGS.items() if begins.startswith(mark)), None)
