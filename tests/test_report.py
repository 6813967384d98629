"""What a terminal shows, of a line that it is too narrow for too."""

import pytest

from deploy.errors import Failure
from deploy.message import Printed, say
from deploy.report import Report
from deploy.runs import Event


@pytest.fixture(autouse=True)
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"TTY_COMPATIBLE": "1", "COLUMNS": "20", "LINES": "20", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)


def test_what_does_not_fit_into_a_line_is_indented_below_it(capsys: pytest.CaptureFixture[str]) -> None:
    report = Report()
    report.line(Printed("one two three four five six"))
    report.line(Printed("    one two three four"))
    report.line(Printed("  it fits into here."))
    report.failure(
        Failure(
            say("it went wrong for a %s", "reason"),
            evidence=(say("which is told down here"),),
            remedy=say("do it once more"),
        )
    )
    told = capsys.readouterr()
    assert told.out.splitlines() == [
        "one two three four",
        "  five six",
        "    one two three",
        "      four",
        "  it fits into here.",
    ]
    assert told.err.splitlines() == [
        "✗ it went wrong",
        "  for a reason",
        "  which is told",
        "    down here",
        "→ do it once more",
    ]


def test_a_word_that_is_longer_than_a_line_is_cut(capsys: pytest.CaptureFixture[str]) -> None:
    Report().line(Printed("x" * 30))
    assert capsys.readouterr().out.splitlines() == ["x" * 18, "  " + "x" * 12]


def test_a_run_that_was_not_confirmed_says_so_when_it_is_undone(capsys: pytest.CaptureFixture[str]) -> None:
    for step in ("confirm", "copy"):
        Report().event(Event(0.0, "undo", (step, "143", "me@laptop")))
    assert "".join(capsys.readouterr().out.splitlines()).count("not confirmed") == 1


def test_a_reason_that_was_not_given_is_told_as_that(capsys: pytest.CaptureFixture[str]) -> None:
    Report().failure(Failure(say("it failed: %s", "")))
    assert capsys.readouterr().err.splitlines() == ["✗ it failed: it", "  gave no reason"]
