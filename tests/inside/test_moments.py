"""When a line of a log was written."""

import time
from collections.abc import Iterator

import pytest

from deploy.inside.moments import moment

TEN = 1782986400.0


@pytest.fixture(autouse=True)
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as environment:
        environment.setenv("TZ", "UTC")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.parametrize(
    ("line", "when"),
    [
        ("2026-07-02T10:00:00Z started", TEN),
        ("2026-07-02T10:00:00.250000000Z started", TEN + 0.25),
        ("2026-07-02T18:00:00+08:00 started", TEN),
        ("[2026-07-02 10:00:00 +0000] [7] [INFO] Booting worker", TEN),
        ("[2026-07-02 10:00:00,123: INFO/MainProcess] task", TEN + 0.123),
        ("2026/07/02 10:00:00 [error] 11#11: *1 connect() failed", TEN),
        ('127.0.0.1 - - [02/Jul/2026:18:00:00 +0800] "GET / HTTP/1.1" 200 5', TEN),
        ("2026-07-02 10:00:00,123 INFO spawned: 'nginx'", TEN + 0.123),
        ("2026-07-02 10:00:00.123 UTC [1] LOG:  ready", TEN + 0.123),
        ("1:M 02 Jul 2026 10:00:00.123 * Ready", TEN + 0.123),
        ("ERROR 2026-07-02 10:00:00 broken", TEN),
        ('{"level": "info", "timestamp": "2026-07-02T10:00:00Z"}', TEN),
    ],
)
def test_a_line_says_when_it_was_written(line: str, when: float) -> None:
    assert moment(line.encode()) == pytest.approx(when, abs=1e-6)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Traceback (most recent call last):",
        "  2026-07-02 10:00:00 is indented",
        "DETAIL:  Key (at)=(2026-07-02 10:00:00) exists",
        "2026-13-02 10:00:00 has no such month",
        "02/Xyz/2026:10:00:00 +0000",
    ],
)
def test_a_line_that_goes_on_has_no_time(line: str) -> None:
    assert moment(line.encode()) is None


def test_a_time_without_a_zone_is_in_the_readers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "CST-8")
    time.tzset()
    assert moment(b"2026-07-02 18:00:00,000 INFO") == TEN
