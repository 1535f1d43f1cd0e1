"""A real HTTP server on loopback that gives one file, and misbehaves as it is told, one request after the other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WEB_PAGE = b"<!DOCTYPE html><html><title>Sign in</title></html>"


@dataclass
class FileServer:
    """`faults`: what to do with the next requests, in order; afterwards all goes well. `ranges`: what was asked for.

    "cut N": N bytes of the body, then the connection ends; "unsized N": so, too, and nothing said how many there are.
    "status N". "page": a web page with 200. "sends TEXT": that text, as if it were the file. "packed". "other": as many
    other bytes. "offers N": N bytes as the length. "no range": all of it, whatever was asked for. "from 0": 206 from
    the beginning. "nowhere": 206 without a place. "plain range": the rest, with 200. "any range": the rest,
    whatever If-Range says. "to URL": a redirect.
    """

    content: bytes
    faults: list[str] = field(default_factory=list)
    etag: str | None = '"1"'
    url: str = ""
    ranges: list[str | None] = field(default_factory=list)


@contextmanager
def file_server(content: bytes, *faults: str, etag: str | None = '"1"') -> Iterator[FileServer]:
    served = FileServer(content, list(faults), etag)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            served.ranges.append(self.headers.get("Range"))
            fault = served.faults.pop(0) if served.faults else ""
            _answer(self, served, fault)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    served.url = f"http://127.0.0.1:{server.server_address[1]}/file.json"
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _answer(request: BaseHTTPRequestHandler, served: FileServer, fault: str) -> None:
    name, _, argument = fault.partition(" ")
    if name == "status":
        return _send(request, int(argument), {}, b"")
    if name == "to":
        return _send(request, 302, {"Location": argument}, b"")
    if fault == "page":
        return _send(request, 200, {"Content-Type": "text/html; charset=utf-8"}, WEB_PAGE)
    if name == "sends":
        return _send(request, 200, {}, argument.encode())
    if fault == "packed":
        return _send(request, 200, {"Content-Encoding": "gzip"}, served.content)
    content = bytes(255 - byte for byte in served.content) if fault == "other" else served.content
    start = _asked_start(request, served, heeds_if_range=fault != "any range")
    status, headers = 200, {"ETag": served.etag} if served.etag else {}
    if fault == "no range":
        start = 0
    elif fault == "from 0":
        status, start = 206, 0
    elif start and start >= len(content):
        return _send(request, 416, {"Content-Range": f"bytes */{len(content)}"}, b"")
    elif start:
        status = 200 if fault == "plain range" else 206
    body = content[start:]
    if status == 206 or fault == "plain range":
        headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
    if fault == "nowhere":
        status = 206
        headers.pop("Content-Range", None)
    length = int(argument) if name == "offers" else len(body)
    sent = body[: int(argument)] if name in ("cut", "unsized") else body
    return _send(request, status, headers, sent, None if name == "unsized" else length)


def _asked_start(request: BaseHTTPRequestHandler, served: FileServer, *, heeds_if_range: bool) -> int:
    asked, same = request.headers.get("Range"), request.headers.get("If-Range") if heeds_if_range else None
    if asked is None or (same is not None and same != served.etag):
        return 0
    return int(asked.removeprefix("bytes=").rstrip("-"))


def _send(
    request: BaseHTTPRequestHandler, status: int, headers: dict[str, str], body: bytes, length: int | None = -1
) -> None:
    request.send_response(status)
    for name, value in headers.items():
        request.send_header(name, value)
    if length is not None:
        request.send_header("Content-Length", str(len(body) if length < 0 else length))
    request.end_headers()
    request.wfile.write(body)
