"""As much of S3 as reading needs, on loopback: the files of a folder as the objects of a bucket, and what was asked."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit
from xml.sax.saxutils import escape


@dataclass
class Bucket:
    """`uri`: of the bucket; `read`: keys whose content was asked for, in that order."""

    root: Path
    uri: str = ""
    read: list[str] = field(default_factory=list)

    def place(self, key: str) -> str:
        """The URI of what lies below a key."""
        head, question, query = self.uri.partition("?")
        return f"{head}/{key}{question}{query}"


@contextmanager
def bucket_of(root: Path) -> Iterator[Bucket]:
    bucket = Bucket(root)
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"bucket": bucket}))
    port = server.server_address[1]
    bucket.uri = f"s3://a-name:a-secret@data?scheme=http&endpoint_override=127.0.0.1%3A{port}&region=us-east-1"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield bucket
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    bucket: Bucket

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        _, key = unquote(url.path).removeprefix("/").partition("/")[::2]
        if not key:
            self._send(200, self._listing(parse_qs(url.query, keep_blank_values=True)))
            return
        file = self.bucket.root / key
        if not file.is_file():
            self._send(404, b"<Error><Code>NoSuchKey</Code></Error>")
            return
        if self.command == "GET":
            self.bucket.read.append(key)
        content, span = file.read_bytes(), self.headers.get("Range", "").removeprefix("bytes=")
        headers = {"Last-Modified": formatdate(file.stat().st_mtime, usegmt=True), "ETag": '"0"'}
        if not span:
            self._send(200, content, headers)
            return
        first, last = (int(part) if part else len(content) - 1 for part in span.split("-"))
        headers["Content-Range"] = f"bytes {first}-{min(last, len(content) - 1)}/{len(content)}"
        self._send(206, content[first : last + 1], headers)

    def _listing(self, query: dict[str, list[str]]) -> bytes:
        prefix = query.get("prefix", [""])[0]
        files = sorted(file for file in self.bucket.root.rglob("*") if file.is_file())
        keys = [(str(file.relative_to(self.bucket.root)), file.stat()) for file in files]
        found = "".join(
            f"<Contents><Key>{escape(key)}</Key><Size>{about.st_size}</Size><ETag>0</ETag>"
            f"<LastModified>{datetime.fromtimestamp(about.st_mtime, UTC):%Y-%m-%dT%H:%M:%SZ}</LastModified></Contents>"
            for key, about in keys
            if key.startswith(prefix)
        )
        return f"<ListBucketResult><IsTruncated>false</IsTruncated>{found}</ListBucketResult>".encode()

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {**(headers or {}), "Content-Length": str(len(body))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass
