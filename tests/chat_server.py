"""A real HTTP server on loopback that answers chat calls as a test decides, in threads of its own: for code that blocks
the test's thread. (loopback.py serves in an event loop, and records.)"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class _Server(ThreadingHTTPServer):
    request_queue_size = 256  # all calls of a run may connect at once


@contextmanager
def chat_server(reply: Callable[[bytes], tuple[int, bytes]]) -> Iterator[str]:
    """Its base URL. `reply`: a request's body -> status and JSON of the answer."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            status, answer = reply(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None: ...

    server = _Server(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    finally:
        server.shutdown()
        server.server_close()
