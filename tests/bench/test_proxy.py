"""The delaying proxy, between real sockets on loopback."""

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import pytest

from tests.bench.proxy import delaying
from tests.sshd import free_port

ROUND_TRIP = 0.1
MANY = bytes(range(256)) * 40_000


@contextmanager
def ends(round_trip: float) -> Iterator[tuple[socket.socket, socket.socket]]:
    """A client and a server that are connected through the proxy."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        with (
            delaying(listener.getsockname()[1], round_trip) as port,
            socket.create_connection(("127.0.0.1", port)) as near,
        ):
            far, _ = listener.accept()
            with far:
                for end in (near, far):
                    end.settimeout(10)
                yield near, far


def received(end: socket.socket) -> bytes:
    """Everything that comes until the other end closes."""
    return b"".join(iter(lambda: end.recv(65536), b""))


def send(end: socket.socket, content: bytes) -> None:
    end.sendall(content)
    end.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize("round_trip", [0, 0.02])
def test_bytes_arrive_whole_and_in_order_both_ways_at_once(round_trip: float) -> None:
    with ends(round_trip) as (near, far):
        senders = [Thread(target=send, args=(end, MANY)) for end in (near, far)]
        got: dict[str, bytes] = {}
        receiver = Thread(target=lambda: got.setdefault("far", received(far)))
        for thread in (*senders, receiver):
            thread.start()
        got["near"] = received(near)
        for thread in (*senders, receiver):
            thread.join()
    assert got == {"near": MANY, "far": MANY}


def test_an_end_that_only_stops_sending_still_gets_its_answer() -> None:
    with ends(0) as (near, far):
        send(near, b"question")
        assert received(far) == b"question"
        send(far, b"answer")
        assert received(near) == b"answer"


def test_a_server_that_closes_is_seen_by_the_client() -> None:
    with ends(0) as (near, far):
        far.close()
        assert near.recv(1) == b""


def test_a_port_on_which_nothing_listens_ends_the_connection() -> None:
    with delaying(free_port(), 0) as port, socket.create_connection(("127.0.0.1", port), timeout=10) as near:
        assert near.recv(1) == b""


def test_a_proxy_that_ends_ends_its_connections_without_a_word(caplog: pytest.LogCaptureFixture) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        with delaying(listener.getsockname()[1], 0) as port:
            near = socket.create_connection(("127.0.0.1", port), timeout=10)
            far, _ = listener.accept()
        with near, far:
            assert (near.recv(1), far.recv(1)) == (b"", b"")
    assert caplog.messages == []


def test_the_real_connection_is_opened_a_round_trip_after_the_clients() -> None:
    begin = time.monotonic()
    with ends(ROUND_TRIP):
        assert time.monotonic() - begin >= ROUND_TRIP


def test_an_answer_comes_a_round_trip_after_its_question() -> None:
    with ends(ROUND_TRIP) as (near, far):
        begin = time.monotonic()
        near.sendall(b"?")
        far.sendall(far.recv(1))
        near.recv(1)
        assert time.monotonic() - begin >= ROUND_TRIP


def test_a_reader_that_is_slow_holds_up_the_sender() -> None:
    with ends(0) as (near, _far):
        near.settimeout(0.5)
        with pytest.raises(TimeoutError):
            near.sendall(MANY * 10)
