"""The client that asks production, against small servers on loopback."""

import asyncio
import time

import pytest

from deploy.sandbox.shape import BASIC_HEALTH
from tests.bench import client
from tests.bench.client import asking, is_good
from tests.bench.figures import Request
from tests.sshd import free_port
from tests.web import Page, serve

GOOD = {BASIC_HEALTH: Page(body=b"fine")}


def asked(port: int) -> Request:
    return asyncio.run(client.ask("nginx", port))


def test_an_answer_of_200_is_good() -> None:
    with serve(GOOD) as web:
        assert asked(web.port).good


def test_an_answer_of_502_is_a_failed_request() -> None:
    with serve({BASIC_HEALTH: Page(502)}) as web:
        assert not asked(web.port).good


def test_a_closed_port_is_a_failed_request() -> None:
    assert not asked(free_port()).good


def test_an_answer_that_does_not_come_is_a_failed_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TIMEOUT", 0.2)
    with serve({BASIC_HEALTH: Page(waits=True)}) as web:
        request = asked(web.port)
    assert not request.good
    assert request.seconds >= 0.2


def test_an_answer_that_breaks_off_is_a_failed_request() -> None:
    assert not is_good(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf")


def test_an_answer_without_its_length_is_a_failed_request() -> None:
    assert not is_good(b"HTTP/1.1 200 OK\r\n\r\nfine")


def test_a_connection_that_is_closed_at_once_is_a_failed_request() -> None:
    assert not is_good(b"")


def test_a_client_of_its_own_asks_every_door_and_tells_what_came_of_it() -> None:
    with serve(GOOD) as good, serve({BASIC_HEALTH: Page(502)}) as ill:
        with asking({"nginx": ill.port, "direct": good.port}, 50) as requests:
            while not good.asked:
                time.sleep(0.01)
        assert {(request.door, request.good) for request in requests} == {("nginx", False), ("direct", True)}
        assert len(requests) == len(good.asked) + len(ill.asked)


def test_a_request_that_hangs_holds_up_no_other() -> None:
    async def ask(ports: dict[str, tuple[int, str]]) -> list[Request]:
        stop = asyncio.Event()
        asyncio.get_running_loop().call_later(0.5, stop.set)
        return await client.ask_steadily(ports, 50, stop)

    with serve(GOOD) as good, serve({BASIC_HEALTH: Page(waits=True)}) as hanging, pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "TIMEOUT", 1)
        asyncio.run(ask({"nginx": (hanging.port, "/"), "direct": (good.port, "/")}))
        assert len(good.asked) > 1
