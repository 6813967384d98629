"""A way to a server on which every round trip counts: an answer passes only once the client waits for it."""

import select
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event, Thread
from time import monotonic

# Seconds without a word from either side, after which the client is taken to wait.
QUIET = 0.3


@dataclass
class Turns:
    """Listens on a port of its own; `count` is how often the client had to wait for what it had asked."""

    port: int
    count: int = 0

    def carry(self, client: socket.socket, server: socket.socket, over: Event) -> None:
        """Pass on what the client says at once, and what the server says when the client has fallen silent."""
        held, asked, last = b"", True, monotonic()
        with client, server:
            while not over.is_set():
                ready, _, _ = select.select([client, server], [], [], 0.02)
                if ready:
                    last = monotonic()
                if client in ready:
                    said = _heard(client)
                    if not said:
                        return
                    server.sendall(said)
                    asked = True
                if server in ready:
                    answer = _heard(server)
                    held += answer
                    if not answer:
                        client.sendall(held)
                        return
                if held and monotonic() - last > QUIET:
                    self.count += asked
                    client.sendall(held)
                    held, asked, last = b"", False, monotonic()


def _heard(side: socket.socket) -> bytes:
    """What somebody says; nothing from one that hung up, in whatever way."""
    try:
        return side.recv(65536)
    except ConnectionError:
        return b""


@contextmanager
def counted(port: int) -> Iterator[Turns]:
    """Lead to a port of this machine, for as many connections as come."""
    over = Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:
        turns = Turns(listener.getsockname()[1])

        def serve() -> None:
            while not over.is_set():
                if select.select([listener], [], [], 0.05)[0]:
                    client, _ = listener.accept()
                    server = socket.create_connection(("127.0.0.1", port))
                    Thread(target=turns.carry, args=(client, server, over), daemon=True).start()

        accepting = Thread(target=serve, daemon=True)
        accepting.start()
        try:
            yield turns
        finally:
            over.set()
            accepting.join()
