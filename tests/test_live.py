"""Runs on a terminal while they go on: read from a real one's screen."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pexpect
import pyte
import pytest

from deploy.message import pack, say

ROOT = Path(__file__).parent.parent
# Plays events of hosts' journals, as whoever follows them hears them; `.` lets a moment pass.
PLAYER = """
import json, sys, time
from deploy.live import following
from deploy.message import Printed
from deploy.report import Report
from deploy.runs import Event
plan, events = json.loads(sys.argv[1])
hosts = {name: Report(f"{name}  " if len(plan) > 1 else "") for name in plan}
with following({name: (hosts[name], steps) for name, steps in plan.items()}):
    for at, (host, kind, *fields) in enumerate(events):
        if kind == "said":
            hosts[host].line(Printed(fields[0]))
        elif kind == "pause":
            time.sleep(float(fields[0]))
        else:
            hosts[host].event(Event(at / 2, kind, tuple(fields)))
print("end")
"""
RELEASE = (
    ("run", "20261128T060205-da5c"),
    ("begin", "proof"),
    ("line", "proof", "importing"),
    ("message", "proof", pack(say("%s boots beside the running release", "43ce5a1"))),
    ("end", "proof", "0"),
    ("begin", "copy"),
    ("line", "copy", "x" * 200),
)


class Screen:
    """What a terminal shows of a play, while it goes on and in the end."""

    def __init__(
        self, plan: dict[str, list[str]], events: list[tuple[str, ...]], term: str = "xterm", columns: int = 60
    ):
        self._screen = pyte.Screen(columns, 20)
        self._stream = pyte.Stream(self._screen)
        self._child = pexpect.spawn(
            sys.executable,
            ["-c", PLAYER, json.dumps([plan, events])],
            cwd=str(ROOT),
            env={"PATH": "/usr/bin:/bin", "TERM": term, "NO_COLOR": "1", "LC_ALL": "C.UTF-8"},
            dimensions=(20, columns),
            encoding="utf-8",
            timeout=30,
        )

    def when(self, words: str) -> list[str]:
        """The lines once these words came."""
        self._child.expect_exact(words)
        return self._fed(f"{self._child.before}{words}")

    def ended(self) -> list[str]:
        self._child.expect(pexpect.EOF)
        return self._fed(f"{self._child.before}")

    def _fed(self, came: str) -> list[str]:
        self._stream.feed(came)
        lines = [line.rstrip() for line in self._screen.display]
        while lines and not lines[-1]:
            lines.pop()
        return lines


def play(*events: tuple[str, ...], host: str = "prod") -> list[tuple[str, ...]]:
    return [(host, *event) for event in events]


def test_each_step_has_a_line_with_its_state_and_last_words() -> None:
    screen = Screen({"prod": ["proof", "copy", "restart"]}, play(*RELEASE, ("pause", "3")))
    lines = screen.when("2 s")
    assert lines[0] == "run 20261128T060205-da5c"
    assert lines[1] == "✓  proof    1.5 s  43ce5a1 boots beside the running rele…"
    assert lines[2].startswith("▸  copy     2 s")
    assert screen.ended()[-1] == "end"


def test_the_steps_stay_when_they_are_over_and_what_follows_is_below_them() -> None:
    ends = (("end", "copy", "0"), ("confirming", "120"), ("confirmed", "root@vm"))
    lines = Screen({"prod": ["proof", "copy"]}, play(*RELEASE, *ends), columns=100).ended()
    assert lines == [
        "run 20261128T060205-da5c",
        "✓  proof  1.5 s  43ce5a1 boots beside the running release",
        f"✓  copy   1.0 s  {'x' * 79}…",
        "waiting for the confirmation, up to 120 s",
        "✓ confirmed by root@vm",
        "end",
    ]


def test_a_line_that_is_told_meanwhile_is_above_the_steps() -> None:
    lines = Screen({"prod": ["proof", "copy"]}, play(*RELEASE[:3], ("said", "the connection was lost"))).ended()
    assert lines == [
        "run 20261128T060205-da5c",
        "the connection was lost",
        "▸  proof  0 s  importing",
        "·  copy",
        "end",
    ]


def test_an_undo_is_told_below_the_steps_line_by_line() -> None:
    undo = (("end", "copy", "1"), ("undo", "copy", "1"), ("undo-begin", "copy"), ("line", "copy", "as before"))
    lines = Screen({"prod": ["proof", "copy"]}, play(*RELEASE, *undo, ("undo-end", "copy", "0"))).ended()
    assert lines[2].startswith("✗  copy   1.0 s  xxx")
    assert lines[3:] == ["✗ copy: undoing what was done", "◂ undo copy", "    as before", "✓ undo copy 1.0 s", "end"]


def test_hosts_are_side_by_side_a_line_each() -> None:
    both = play(*RELEASE, host="a") + play(("begin", "proof"), ("holding", "apply", "9"), ("pause", "2"), host="b")
    lines = Screen({"a": ["proof", "copy"], "b": ["proof"]}, both, columns=80).ended()
    assert lines[0] == "a  run 20261128T060205-da5c"
    assert lines[1].startswith("▸  a  copy 2/2   2 s  xxx")
    assert lines[2] == "▸  b  proof 1/1  2 s  waiting until all hosts are as far"


@pytest.mark.parametrize("term", ["dumb"])
def test_without_such_a_terminal_every_line_is_told(term: str) -> None:
    lines = Screen({"prod": ["proof", "copy"]}, play(*RELEASE[:5]), term=term).ended()
    assert all(re.fullmatch(r"([01]\d|2[0-3])(:[0-5]\d){2}  ", line[:10]) for line in lines[:-1])
    assert [line[10:] for line in lines[:-1]] == [
        "run 20261128T060205-da5c",
        "▸ proof",
        "    importing",
        "    43ce5a1 boots beside the running release",
        "✓ proof 1.5 s",
    ]
    assert lines[-1] == "end"


def test_in_a_pipe_the_time_is_in_one_column_before_the_hosts_and_what_is_told_late_has_its_own() -> None:
    events = play(("begin", "proof"), ("said", "now"), host="a") + play(
        ("begin", "copy"), ("end", "copy", "0"), host="b"
    )
    environment = {"PATH": "/usr/bin:/bin", "PYTHONIOENCODING": "utf-8", "TZ": "CST-8"}
    plan = json.dumps([{"a": ["proof"], "b": ["copy"]}, events])
    told = subprocess.run(
        [sys.executable, "-c", PLAYER, plan], cwd=ROOT, env=environment, capture_output=True, check=True
    )
    now, *lines = told.stdout.decode().splitlines()[1:]
    assert re.fullmatch(r"\d\d:\d\d:\d\d  a  now", now)
    assert lines == ["08:00:01  b  ▸ copy", "08:00:01  b  ✓ copy 0.5 s", "end"]
