"""A chat's webhook, on a port of the loopback interface."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any


@dataclass
class Chat:
    """A service on a port of the loopback interface: what it was sent, and what it answers."""

    port: int
    answer: tuple[int, object] = (200, {"code": 0, "errcode": 0})
    came: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook?access_token=t"


@contextmanager
def running() -> Iterator[Chat]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            there.came.append((self.path, body))
            status, answer = there.answer
            self.send_response(status)
            self.end_headers()
            self.wfile.write(json.dumps(answer).encode())

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        there = Chat(server.server_port)
        Thread(target=server.serve_forever, daemon=True).start()
        yield there
        server.shutdown()
