"""Real runs of the harness: a clone, a host without SSH, steps, and what they left in a log."""

import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy import runs, shell
from deploy.runs import Event
from tests.plain import plain

SECRET = "s3cret & $value"
WORDS = ("PASSWORD", "SECRET", "KEY", "TOKEN", "URL")


@dataclass(frozen=True)
class Step:
    name: str
    script: str
    timeout: int = 20
    undo: str = ""
    harmless: bool = False
    beside: bool = False
    early: bool = False


class ThisMachine:
    """A host without SSH: scripts run in a Bash of their own."""

    @contextmanager
    def stream(self, script: str, *, stdin: bytes) -> Iterator[Iterator[str]]:
        process = subprocess.Popen(["bash", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None
        assert process.stdout is not None
        # A script may end without having read everything.
        with suppress(BrokenPipeError), process.stdin:
            process.stdin.write(stdin)
        try:
            yield (line.decode("utf-8", "surrogateescape").rstrip("\n") for line in process.stdout)
        finally:
            process.stdout.close()
            process.wait()


@dataclass
class Clone:
    path: Path
    about: dict[str, str] = field(default_factory=lambda: {"verb": "hot-update", "operator": "ada@laptop"})

    @property
    def variables(self) -> dict[str, str | int | tuple[str, ...]]:
        env_file = str(self.path / ".env")
        shared = {"path": str(self.path), "env_file": env_file}
        return {**shared, "secret_words": WORDS, "secret_keys": (), "secret_min_length": 8}

    @property
    def state(self) -> Path:
        return self.path / ".git" / "hot-update"

    def folder(self, run: str) -> Path:
        return self.state / "runs" / run

    def files(self, *steps: Step, guard: str = "", expected: str = "", **more: Any) -> dict[str, str]:
        return runs.files_of(steps, self.about, guard, expected, self.variables, **more)

    def start(self, run: str, *steps: Step, guard: str = "", expected: str = "", **more: Any) -> list[Event]:
        files = self.files(*steps, guard=guard, expected=expected, **more)
        with runs.start(ThisMachine(), self.variables, run, files) as events:
            return list(events)

    def decide(self, run: str, choice: runs.Choice, who: str = "ada") -> tuple[str, str]:
        return runs.decide(ThisMachine(), self.variables, run, choice, who)

    def start_and_leave(self, run: str, *steps: Step, seen: tuple[str, ...], **more: Any) -> None:
        """Follow a run until an event, and leave as a laptop does whose lid is closed."""
        with runs.start(ThisMachine(), self.variables, run, self.files(*steps, **more)) as events:
            next(event for event in events if told([event]) == [seen])

    def follow(self, run: str = "", first_line: int = 1) -> list[Event]:
        with runs.follow(ThisMachine(), self.variables, run, first_line) as events:
            return list(events)

    def journal(self, run: str) -> list[tuple[str, ...]]:
        text = (self.folder(run) / "journal").read_text(encoding="utf-8", errors="surrogateescape")
        return [tuple(map(plain, fields[1:])) for fields in shell.records(text)]

    def locked(self) -> bool:
        return subprocess.run(["flock", "-n", str(self.state / "lock"), "true"], check=False).returncode != 0

    def holder(self) -> dict[str, str]:
        return dict((name, value) for name, value in shell.records((self.state / "holder").read_text()))  # noqa: C402 - pairs

    def kill_harness(self) -> None:
        os.kill(int(self.holder()["pid"]), signal.SIGKILL)


def make_clone(path: Path) -> Clone:
    subprocess.run(["git", "init", "-q", str(path)], check=True)
    (path / ".env").write_text(f"DB_PASSWORD='{SECRET}'\n")
    return Clone(path)


def told(events: list[Event]) -> list[tuple[str, ...]]:
    return [(event.kind, *map(plain, event.fields)) for event in events]


def until(condition: Callable[[], bool]) -> None:
    """Wait for what is bound to happen."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def waiting_for(path: Path) -> str:
    """A script that waits until a file appears."""
    return f"until [ -e {shlex.quote(str(path))} ]; do sleep 0.02; done\n"


def noting(log: Path, word: str, status: int = 0) -> str:
    return f"echo {word} >>{shlex.quote(str(log))}; exit {status}\n"


def undoable(log: Path, name: str, script: str = "true") -> Step:
    return Step(name, script, undo=noting(log, f"undo-{name}"))


def words(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []
