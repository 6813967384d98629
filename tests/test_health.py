"""Health checks: what counts as healthy, and what is said when it is not."""

import socket
from collections.abc import Iterator
from threading import Thread
from typing import Any

import pytest

from deploy import health
from deploy.host import loopback
from deploy.settings import Check as Wanted
from tests.texts import as_text
from tests.web import Page, Web, json_page, serve

HEALTHY = {"success": True, "data": {"status": "healthy", "database": "connected", "workers": 2}}


@pytest.fixture
def web() -> Iterator[Web]:
    with serve() as web:
        yield web


def wanted(url: str, *paths: str, **expect: str) -> Wanted:
    return Wanted(name="app", url=url, paths=paths or ("/health",), expect=expect)


def ask(check: Wanted, timeout: float = 5) -> Any:
    (answer,) = health.check(loopback.direct(), (check,), timeout)
    return as_text(answer)


def test_a_json_answer_with_every_expected_value_is_healthy(web: Web) -> None:
    web.pages["/health"] = json_page(HEALTHY)
    answer = ask(wanted(web.url, **{"data.status": "healthy", "data.database": "connected"}))
    assert (answer.healthy, answer.status, answer.problem, answer.url) == (True, 200, None, f"{web.url}/health")
    assert answer.latency_ms is not None


def test_a_check_asks_as_the_host_that_its_setting_says(web: Web) -> None:
    web.pages["/health"] = Page(200)
    assert ask(Wanted(name="app", url=web.url, paths=("/health",), host="shop.example:8443")).healthy
    assert ask(wanted(web.url)).healthy
    assert web.hosts == ["shop.example:8443", f"127.0.0.1:{web.port}"]


def test_every_value_that_differs_is_named_and_nothing_else_of_the_answer(web: Web) -> None:
    web.pages["/health"] = json_page({"data": {"status": "ill", "database": "disconnected", "dsn": "secret"}})
    answer = ask(wanted(web.url, **{"data.status": "healthy", "data.database": "connected", "data.redis": "connected"}))
    assert answer.problem == (
        "data.status is 'ill', expected 'healthy'; data.database is 'disconnected', expected 'connected'; "
        "data.redis is missing, expected 'connected'"
    )


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ({"data": "down"}, "data.status is missing, expected 'healthy'"),
        ([], "data.status is missing, expected 'healthy'"),
        ({"data": {"status": {"password": "x"}}}, "data.status is an object, expected 'healthy'"),
        ({"data": {"status": None}}, "data.status is None, expected 'healthy'"),
    ],
)
def test_an_answer_of_another_shape_is_not_healthy(web: Web, answer: object, problem: str) -> None:
    web.pages["/health"] = json_page(answer)
    assert ask(wanted(web.url, **{"data.status": "healthy"})).problem == problem


def test_a_page_that_is_not_json_says_so(web: Web) -> None:
    web.pages["/health"] = Page(body=b"<html>\xff")
    assert ask(wanted(web.url, **{"data.status": "healthy"})).problem == "not JSON"


def test_without_expectations_any_success_is_healthy(web: Web) -> None:
    web.pages["/health"] = Page(204)
    assert ask(wanted(web.url)).healthy


def test_an_error_status_is_not_healthy_whatever_the_answer_says(web: Web) -> None:
    web.pages["/health"] = json_page(HEALTHY, status=502)
    answer = ask(wanted(web.url, **{"data.status": "healthy"}))
    assert (answer.healthy, answer.status, answer.problem) == (False, 502, "answered 502")


def test_a_redirect_is_told_and_not_followed(web: Web) -> None:
    web.pages |= {"/health": Page(302, location="/login"), "/login": Page()}
    assert ask(wanted(web.url)).problem == "redirects to '/login'"
    assert web.asked == ["/health"]


def test_the_first_alternative_that_does_not_answer_404_counts(web: Web) -> None:
    web.pages |= {"/new": Page(503), "/newer": Page()}
    answer = ask(wanted(web.url, "/old", "/new", "/newer"))
    assert (answer.url, answer.problem) == (f"{web.url}/new", "answered 503")
    assert web.asked == ["/old", "/new"]


def test_404_beside_a_check_without_an_answer_accuses_no_setting(web: Web) -> None:
    silent = Wanted(name="direct", url="http://127.0.0.1:1", paths=("/",), expect={})
    told, _ = health.check(loopback.direct(), (wanted(web.url, "/old"), silent), 5)
    assert as_text(told).problem == "answered 404 at /old"


def test_404_on_every_alternative_is_a_wrong_setting(web: Web) -> None:
    answer = ask(wanted(web.url, "/old", "/new"))
    assert (answer.healthy, answer.status) == (False, 404)
    assert answer.problem == "answered 404 at /old, /new: wrong setting health.checks[app].paths"


def test_a_closed_port_is_no_answer() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        answer = ask(wanted(f"http://127.0.0.1:{unused.getsockname()[1]}"))
    assert (answer.status, answer.latency_ms, answer.problem) == (None, None, "no answer: connection refused")


def test_a_service_that_hangs_up_is_no_answer() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=lambda: listener.accept()[0].close(), daemon=True).start()
        answer = ask(wanted(f"http://127.0.0.1:{listener.getsockname()[1]}"))
    assert answer.problem == "no answer: the connection was closed"


def test_a_slow_answer_is_given_up(web: Web) -> None:
    web.pages["/health"] = Page(waits=True)
    assert ask(wanted(web.url), timeout=0.2).problem == "took longer than 0.2 s"


def test_a_proxy_in_the_environment_is_not_asked(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(variable, "http://127.0.0.1:1")
    web.pages["/health"] = Page()
    assert ask(wanted(web.url)).healthy


def test_waiting_ends_with_the_first_healthy_round_and_pauses_longer_each_time(web: Web) -> None:
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 3:
            web.pages["/health"] = Page()

    rounds: list[bool] = []
    answers = health.wait(
        loopback.direct(),
        (wanted(web.url),),
        timeout=5,
        deadline=100,
        told=lambda answers: rounds.append(answers[0].healthy),
        clock=lambda: 0.0,
        sleep=sleep,
    )
    assert answers[0].healthy
    assert rounds == [False, False, False, True]
    assert pauses == sorted(set(pauses))


def test_waiting_ends_at_the_deadline_with_the_last_answers(web: Web) -> None:
    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    (answer,) = health.wait(
        loopback.direct(), (wanted(web.url),), timeout=5, deadline=10, clock=lambda: now, sleep=sleep
    )
    assert answer.status == 404
    assert now == 10
