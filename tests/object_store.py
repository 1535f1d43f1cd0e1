"""A real S3 server on loopback (moto's), and a door in front of it that is slow, busy or cuts answers off."""

from __future__ import annotations

import http.client
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from fireact_ray.core.storage.folder import Folder

BUSY = b"<Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>"
DENIED = b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>"


@dataclass
class Store:
    """`endpoint`: of the server; the credentials in the environment are heeded by nobody."""

    endpoint: str
    client: Any

    def bucket(self, name: str) -> str:
        self.client.create_bucket(Bucket=name)
        return f"s3://{name}"

    def keys(self, name: str) -> list[str]:
        return sorted(found["Key"] for found in self.client.list_objects_v2(Bucket=name).get("Contents", []))


@contextmanager
def object_store() -> Iterator[Store]:
    import logging

    import boto3
    from moto.server import ThreadedMotoServer

    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    endpoint = "http://{}:{}".format(*server.get_host_and_port())
    given = {"aws_access_key_id": "a-name", "aws_secret_access_key": "a-secret", "region_name": "us-east-1"}
    try:
        yield Store(endpoint, boto3.client("s3", endpoint_url=endpoint, **given))
    finally:
        server.stop()


@dataclass
class Door:
    """Lets requests through to a server. `trouble`: what happens to one instead, by method and path, in their order:
    "busy", "denied", "lost" (it is carried out, and the answer is not sent), "reset" (neither), "hang" (neither, and
    the connection stays open), None for no trouble."""

    endpoint: str
    trouble: Callable[[str, str], str | None] = lambda method, path: None
    asked: list[tuple[str, str]] = field(default_factory=list)
    deaf: bool = False  # to the conditions of writes
    closed: threading.Event = field(default_factory=threading.Event)
    turn: Any = field(default_factory=threading.Lock)  # a store looks and writes in one step, moto does not


@contextmanager
def door_to(server: str) -> Iterator[Door]:
    door = Door("")
    http_server = ThreadingHTTPServer(
        ("127.0.0.1", 0), type("Handler", (_Handler,), {"door": door, "server_at": server.removeprefix("http://")})
    )
    door.endpoint = f"http://127.0.0.1:{http_server.server_address[1]}"
    thread = threading.Thread(target=http_server.serve_forever, daemon=True)
    thread.start()
    try:
        yield door
    finally:
        door.closed.set()
        http_server.shutdown()
        thread.join()
        http_server.server_close()


def behind(door: Door, folder: Folder) -> Folder:
    """The same folder of a bucket, asked for through the door."""
    address = door.endpoint.removeprefix("http://").replace(":", "%3A")
    return Folder(f"{folder.uri}?endpoint_override={address}&scheme=http&region=us-east-1")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    door: Door
    server_at: str

    def _pass(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.door.asked.append((self.command, self.path))
        trouble = self.door.trouble(self.command, self.path)
        if trouble in ("busy", "denied"):
            self._send(503 if trouble == "busy" else 403, {}, BUSY if trouble == "busy" else DENIED)
            return
        if trouble == "hang":
            self.door.closed.wait(60)
        if trouble in ("reset", "hang"):
            self.close_connection = True
            return
        unheard = ("if-match", "if-none-match") if self.door.deaf else ()
        headers = {name: value for name, value in self.headers.items() if name.lower() not in unheard}
        there = http.client.HTTPConnection(self.server_at, timeout=30)
        with self.door.turn if self.command == "PUT" else nullcontext():
            there.request(self.command, self.path, body, headers)
            answer = there.getresponse()
            content = answer.read()
        there.close()
        if trouble == "lost":
            self.close_connection = True
            return
        length = answer.headers["Content-Length"] if self.command == "HEAD" else None
        self._send(answer.status, dict(answer.headers), content, length)

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass

    def _send(self, status: int, headers: dict[str, str], content: bytes, length: str | None = None) -> None:
        self.send_response(status)
        for name, value in headers.items():
            if name.lower() not in ("content-length", "transfer-encoding", "connection", "date", "server"):
                self.send_header(name, value)
        self.send_header("Content-Length", length or str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass
