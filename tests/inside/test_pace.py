"""A long piece of work tells how far it is."""

import time

import pytest

from deploy.inside.pace import Pace
from tests.plain import plain


def told(capfdbinary: pytest.CaptureFixture[bytes]) -> list[str]:
    out, err = capfdbinary.readouterr()
    assert out == b"", "an answer to the host may stand there"
    return plain(err.decode()).splitlines()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    return now


def test_it_is_told_less_often_the_longer_it_takes(
    capfdbinary: pytest.CaptureFixture[bytes], clock: list[float]
) -> None:
    pace = Pace("sent", 1000)
    for _ in range(999):
        clock[0] += 0.125
        pace.count(100_000)
    assert told(capfdbinary) == [
        "sent: 8 of 1000 files, 782 KiB",
        "sent: 24 of 1000 files, 2.3 MiB",
        "sent: 56 of 1000 files, 5.3 MiB",
        "sent: 120 of 1000 files, 11.4 MiB",
        "sent: 248 of 1000 files, 23.7 MiB",
        "sent: 504 of 1000 files, 48.1 MiB",
        "sent: 984 of 1000 files, 93.8 MiB",
    ]


def test_what_is_quick_or_over_is_not_told(capfdbinary: pytest.CaptureFixture[bytes], clock: list[float]) -> None:
    pace = Pace("compared", 2)
    pace.count()
    clock[0] = 9.0
    pace.count()
    assert (told(capfdbinary), pace.size) == ([], 0)


def test_files_that_are_only_looked_at_have_no_bytes(
    capfdbinary: pytest.CaptureFixture[bytes], clock: list[float]
) -> None:
    pace = Pace("compared", 2)
    clock[0] = 9.0
    pace.count()
    assert told(capfdbinary) == ["compared: 1 of 2 files"]
