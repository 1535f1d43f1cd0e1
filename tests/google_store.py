"""As much of the XML API of Google's object store as a client needs that lists, gets, puts, copies and deletes: written
after its documentation, on loopback. An object's version is its generation, and a write may name the one that it
replaces."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape

LAST_MODIFIED = "Wed, 01 Jul 2026 00:00:00 GMT"


@contextmanager
def google_store(bucket: str) -> Iterator[tuple[str, dict[str, str]]]:
    """Host and port of a server with one bucket, and the headers of the last request."""
    headers: dict[str, str] = {}
    own = {"bucket": bucket, "objects": {}, "turn": threading.Lock(), "generations": count(1), "last": headers}
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), own))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.server_address[1]}", headers
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bucket: str
    objects: dict[str, tuple[bytes, int]]
    turn: threading.Lock
    generations: Iterator[int]
    last: dict[str, str]

    def _act(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.last.clear()
        self.last.update({name.lower(): value for name, value in self.headers.items()})
        parts = urlsplit(self.path)
        bucket, _, name = unquote(parts.path).lstrip("/").partition("/")
        if bucket != self.bucket:
            self._send(404, b"<Error><Code>NoSuchBucket</Code></Error>")
        elif not name:
            self._send(200, self._listed(parse_qs(parts.query)))
        elif self.command == "PUT":
            self._put(name, body)
        elif name not in self.objects:
            self._send(404, b"<Error><Code>NoSuchKey</Code></Error>")
        elif self.command == "DELETE":
            del self.objects[name]
            self._send(204)
        else:
            self._send(200, *self.objects[name])

    do_GET = do_HEAD = do_PUT = do_DELETE = _act

    def _put(self, name: str, body: bytes) -> None:
        source = unquote(self.headers.get("x-goog-copy-source", "")).lstrip("/").partition("/")[2]
        wanted = self.headers.get("x-goog-if-generation-match")
        with self.turn:
            _, found = self.objects.get(name, (b"", 0))
            if wanted is not None and int(wanted) != found:
                self._send(412, b"<Error><Code>PreconditionFailed</Code></Error>")
                return
            generation = next(self.generations)
            self.objects[name] = (self.objects[source][0] if source else body, generation)
        self._send(200, b"", generation)

    def _listed(self, query: dict[str, list[str]]) -> bytes:
        prefix, delimiter = query.get("prefix", [""])[0], query.get("delimiter", [""])[0]
        contents, folders = "", set()
        for name, (content, generation) in sorted(self.objects.items()):
            rest = name.removeprefix(prefix)
            if not name.startswith(prefix):
                continue
            if delimiter and delimiter in rest:
                folders.add(prefix + rest.partition(delimiter)[0] + delimiter)
                continue
            contents += (
                f"<Contents><Key>{escape(name)}</Key><Generation>{generation}</Generation><ETag>&quot;{generation}&quot;"
                f"</ETag><LastModified>2026-07-01T00:00:00.000Z</LastModified><Size>{len(content)}</Size></Contents>"
            )
        common = "".join(f"<CommonPrefixes><Prefix>{escape(one)}</Prefix></CommonPrefixes>" for one in sorted(folders))
        return f"<ListBucketResult><Name>{self.bucket}</Name>{contents}{common}</ListBucketResult>".encode()

    def _send(self, status: int, content: bytes = b"", generation: int | None = None) -> None:
        self.send_response(status)
        if generation is not None:
            self.send_header("x-goog-generation", str(generation))
            self.send_header("ETag", f'"{generation}"')
            self.send_header("Last-Modified", LAST_MODIFIED)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass
