"""What is told of a host's logs by what its script says of them."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from deploy.logs import Merge
from deploy.report import Report
from deploy.shell import record
from deploy.verbs.logs import LONG_TAIL, _Logs, wanted
from deploy.verbs.session import Session

ASKED: dict[str, Any] = dict.fromkeys(("service", "kind", "tail", "since", "grep", "run"), "") | {"follow": False}
LOG = "app:/var/log/app.log"


def told(capsys: pytest.CaptureFixture[str], records: list[tuple[str, ...]], **asked: Any) -> tuple[list[str], str]:
    """Give the lines of the logs, and what is noted of them."""
    session = SimpleNamespace(settings=SimpleNamespace(target=SimpleNamespace(name="prod")), report=Report())
    host, merge = _Logs(cast("Session", session), wanted(**{**ASKED, **asked})), Merge()
    for one in records:
        host.hear(record(*one), merge)
    host.complain()
    lines = [str(line) for entry in merge.rest() for line in entry.lines]
    return lines, capsys.readouterr().err


def test_a_log_of_which_more_lines_may_be_wanted_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    lines = [("line", LOG, "1.0", "1:1", "x")] * LONG_TAIL
    records = [("reader", "app:files"), ("found", LOG, "1:1", "0:0"), *lines, ("read", "app:files")]
    note = f"! {LOG}: only its last {LONG_TAIL} lines are read; --tail N reads more\n"
    assert told(capsys, records, since="10m")[1] == note
    assert told(capsys, records, run="20261128T000000-aaaa")[1] == note
    assert told(capsys, records, since="10m", tail=str(LONG_TAIL))[1] == ""
    assert told(capsys, records[:3] + records[4:], since="10m")[1] == ""


def test_of_a_stopped_container_the_lines_are_told_that_are_of_the_time_in_its_zone(
    capsys: pytest.CaptureFixture[str],
) -> None:
    # 2026-07-02 10:00:00 in UTC+8 is 1782957600.
    lines = [f"2026-07-02 {hour}:00:00 {hour}" for hour in ("09", "10", "11")]
    records = [
        ("run", "1782957600.0", "1782961200"), ("stopped", "app"), ("found", LOG, "", ""),
        *(("line", LOG, "", "+0800", text) for text in (lines[0], "its traceback", lines[1], "goes on", lines[2])),
        ("read", "app:files"),
    ]  # fmt: skip
    note = "! app does not run: its files are told as it left them\n"
    assert told(capsys, records, since="10m") == ([lines[1], "goes on"], note)
