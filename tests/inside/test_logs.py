"""Files of logs, told by the program itself while they grow and are rotated."""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy import inside, shell
from deploy.message import pack, say

START = Callable[..., "Reading"]


class Reading:
    """The program, and the records that it tells."""

    def __init__(self, *files: Path, **asked: Any) -> None:
        told = {"container": "c", "files": list(map(str, files)), "positions": {}, "optional": False}
        told |= {"tail": 200, "since": None, "until": None, "follow": True, **asked}
        command = [sys.executable, "-I", "-c", inside.logs(), json.dumps(told)]
        environment = os.environ | {"TZ": "UTC"}
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment)
        self.records: list[tuple[str, ...]] = []
        self._thread = threading.Thread(target=self._hear, daemon=True)
        self._thread.start()

    def _hear(self) -> None:
        assert self.process.stdout
        for line in self.process.stdout:
            self.records.append(shell.fields(line.decode().rstrip("\n")))

    @property
    def lines(self) -> list[str]:
        return [fields[4] for fields in self.records if fields[0] == "line"]

    @property
    def positions(self) -> dict[str, str]:
        return {fields[1]: fields[3] for fields in self.records if fields[0] in ("line", "found")}

    def until(self, *lines: str) -> None:
        """Wait until these are what was told, and no more comes."""
        end = time.monotonic() + 20
        while self.lines != list(lines) and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(0.3)
        assert self.lines == list(lines)

    def read(self) -> None:
        end = time.monotonic() + 20
        while ("read", "c:files") not in self.records and time.monotonic() < end:
            time.sleep(0.02)

    def end(self) -> int:
        assert self.process.stdin
        self.process.stdin.close()
        status = self.process.wait(timeout=20)
        self._thread.join(timeout=20)
        return status


@pytest.fixture
def start() -> Iterator[START]:
    running: list[Reading] = []

    def begin(*files: Path, **asked: Any) -> Reading:
        running.append(Reading(*files, **asked))
        return running[-1]

    yield begin
    for one in running:
        one.process.kill()
        one.process.wait()


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "app.log").write_text("2026-07-02 10:00:00 one\n2026-07-02 10:00:01 two\n")
    return tmp_path / "app.log"


def add(log: Path, text: str) -> None:
    with log.open("a") as stream:
        stream.write(text)


ONE, TWO = "2026-07-02 10:00:00 one", "2026-07-02 10:00:01 two"


def test_a_file_that_is_renamed_and_made_anew_is_told_to_its_end(start: START, log: Path) -> None:
    reading = start(log)
    reading.read()
    writer = log.open("a")
    log.rename(log.with_name("app.log.1"))
    print("three", file=writer, flush=True)
    reading.until(ONE, TWO, "three")
    add(log, "four\n")
    reading.until(ONE, TWO, "three", "four")
    # Its writer has not been told yet.
    print("late", file=writer, flush=True)
    reading.until(ONE, TWO, "three", "four", "late")
    writer.close()


@pytest.mark.parametrize("more", ["three\n", "three, which makes it longer than it was before it was emptied\n" * 3])
def test_a_file_that_is_copied_and_emptied_is_told_anew(start: START, log: Path, more: str) -> None:
    reading = start(log)
    reading.read()
    os.truncate(log, 0)
    add(log, more)
    reading.until(ONE, TWO, *more.splitlines())


def test_what_was_written_just_before_a_file_was_emptied_is_told_from_its_copy(start: START, log: Path) -> None:
    reading = start(log)
    reading.read()
    # In one go, as far as our looks can tell.
    os.kill(reading.process.pid, 19)
    add(log, "three\n")
    log.with_name("app.log.1").write_text(log.read_text())
    os.truncate(log, 0)
    add(log, "four\n")
    os.kill(reading.process.pid, 18)
    reading.until(ONE, TWO, "three", "four")


def test_a_file_that_comes_later_is_told_from_its_beginning(start: START, tmp_path: Path) -> None:
    reading = start(tmp_path / "late.log", tail=0)
    reading.read()
    assert ("absent", f"c:{tmp_path / 'late.log'}") in reading.records
    add(tmp_path / "late.log", "first\n")
    reading.until("first")


def test_half_a_line_waits_for_its_end(start: START, log: Path) -> None:
    reading = start(log, tail=1)
    reading.until(TWO)
    add(log, "three and ")
    reading.until(TWO)
    add(log, "a half\n")
    reading.until(TWO, "three and a half")


def test_the_program_ends_with_its_stdin(start: START, log: Path) -> None:
    reading = start(log)
    reading.until(ONE, TWO)
    assert reading.end() == 0


def test_a_later_one_goes_on_where_the_first_was_whatever_was_rotated(start: START, log: Path) -> None:
    first = start(log)
    first.until(ONE, TWO)
    first.end()
    add(log, "three\n")
    log.rename(log.with_name("app.log.1"))
    add(log, "four\n")
    start(log, positions=first.positions).until("three", "four")
    add(log, "five\n")
    start(log, positions=first.positions, follow=False).until("three", "four", "five")


def told(start: START, *files: Path, **asked: Any) -> list[str]:
    reading = start(*files, follow=False, **asked)
    assert reading.end() == 0
    return reading.lines


def test_the_last_lines_are_told_and_of_the_earlier_file_what_is_lacking(start: START, log: Path) -> None:
    log.with_name("app.log.1").write_text("2026-07-02 09:00:00 a\n2026-07-02 09:00:01 b\n")
    assert told(start, log, tail=1) == [TWO]
    assert told(start, log, tail=3) == ["2026-07-02 09:00:01 b", ONE, TWO]
    assert told(start, log, tail=0) == []


def test_every_earlier_file_is_told_as_far_as_it_is_wanted(start: START, log: Path) -> None:
    for number, hour in ((1, "09"), (2, "08"), (3, "07")):
        log.with_name(f"app.log.{number}").write_text(f"2026-07-02 {hour}:00:00 a\n2026-07-02 {hour}:30:00 b\n")
    log.with_name("app.log.4.gz").touch()
    half_past_eight = 1782981000.0
    assert told(start, log, since=half_past_eight) == [
        "2026-07-02 08:30:00 b", "2026-07-02 09:00:00 a", "2026-07-02 09:30:00 b", ONE, TWO,
    ]  # fmt: skip
    assert told(start, log, tail=5)[0] == "2026-07-02 08:30:00 b"
    reading = start(log, follow=False, since=0.0)
    reading.end()
    assert reading.lines[0] == "2026-07-02 07:00:00 a"
    assert ("packed", f"c:{log}", f"{log}.4.gz") in reading.records


def test_a_time_says_where_to_begin_and_to_end(start: START, log: Path) -> None:
    seconds = [f"2026-07-02 10:{number // 60:02}:{number % 60:02} line {number}\n  goes on\n" for number in range(3600)]
    log.write_text("".join(seconds))
    ten = 1782986400
    assert told(start, log, since=ten + 3598.0) == [line for second in seconds[3598:] for line in second.splitlines()]
    assert told(start, log, since=ten + 100.0, until=ten + 101.0) == seconds[100].splitlines()
    assert told(start, log, since=ten + 7200.0) == []
    assert len(told(start, log, since=ten - 1.0, tail=7)) == 7


def test_what_goes_on_has_no_time_and_a_file_without_times_has_its_own(start: START, log: Path, tmp_path: Path) -> None:
    (tmp_path / "plain").write_text("x\ny\n")
    os.utime(tmp_path / "plain", (5, 5))
    add(log, "Traceback\n")
    reading = start(log, tmp_path / "plain", follow=False)
    reading.end()
    moments = [fields[2] for fields in reading.records if fields[0] == "line"]
    assert moments == ["1782986400.000000", "1782986401.000000", "", "5.000000", "5.000000"]


def test_a_pipe_is_no_log(start: START, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reading = start(tmp_path / "pipe", follow=False)
    reading.end()
    assert reading.records[0] == ("unread", f"c:{tmp_path / 'pipe'}", pack(say("it is no regular file")))


def test_of_a_line_that_is_too_long_the_rest_is_not_told_as_another(start: START, log: Path) -> None:
    log.write_text("x" * 200_000 + "\nnext\n")
    assert [len(line) for line in told(start, log)] == [65536, 4]
