"""A real Gunicorn of this machine, with a small app, that the tests replace the workers of."""

import http.client
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy.inside.programs import programs
from tests.inside.world import Answer, inside

# A name of its own, so that nothing else on this machine is taken for the server.
SERVER = f"gunicorn-rolled-{os.getpid()}"
# The other end of the range that pyproject.toml has.
OLDEST = "22.0.0"
APP = """
import fcntl, os, sys, time
end = time.monotonic() + float(open("import_seconds").read())
while time.monotonic() < end:
    if not os.path.exists("computes"):
        time.sleep(0.02)
if os.path.exists("lock_wanted"):
    lock = open("scheduler.lock", "a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
release = open("release").read()

def application(environ, start_response):
    if environ["PATH_INFO"] == "/slow":
        time.sleep(3)
    start_response("404 Not Found" if environ["PATH_INFO"] == "/gone" else "200 OK", [("Content-Type", "text/plain")])
    return [f"{os.getpid()} {release}".encode()]
"""


@dataclass
class Gunicorn:
    """An app's folder, and a Gunicorn that serves it."""

    place: Path
    port: int
    process: "subprocess.Popen[bytes] | None" = None
    settings: dict[str, Any] = field(default_factory=dict)
    # Where its package lies; empty: the one that is installed here.
    library: str = ""
    # Where it listens, if not on its port.
    bind: str = ""

    def start(self, *options: str, workers: int = 1) -> None:
        words = [
            sys.executable,
            str(self.place / SERVER),
            "-c",
            "gunicorn.conf.py",
            "-b",
            self.bind or f"127.0.0.1:{self.port}",
        ]
        words += ["-w", str(workers), *options, "wsgi:application"]
        with (self.place / "log").open("ab") as log:
            environment = os.environ | ({"PYTHONPATH": self.library} if self.library else {})
            self.process = subprocess.Popen(words, cwd=self.place, env=environment, stdout=log, stderr=log)
        wait_until(lambda: self.get() is not None)
        wait_until(lambda: len(self.workers) == workers)

    def start_with_lock(self) -> None:
        """Have its one worker hold the scheduler's lock."""
        (self.place / "lock_wanted").touch()
        self.start("-k", "gevent")
        wait_until(lambda: {self.holder} == self.workers)

    def get(self, path: str = "/") -> tuple[int, str] | None:
        """Ask once: which worker, and of which release."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        if self.bind:
            connection.sock = socket.socket(socket.AF_UNIX)
        try:
            if self.bind:
                connection.sock.connect(str(self.place / self.bind.removeprefix("unix:")))
            connection.request("GET", path)
            pid, release = connection.getresponse().read().decode().split()
        except OSError:
            return None
        finally:
            connection.close()
        return int(pid), release

    @property
    def master(self) -> int:
        assert self.process
        return self.process.pid

    @property
    def workers(self) -> set[int]:
        children = Path(f"/proc/{self.master}/task/{self.master}/children")
        return {int(pid) for pid in children.read_text().split()}

    @property
    def holder(self) -> int | None:
        """Who holds the scheduler's lock."""
        inode = (self.place / "scheduler.lock").stat().st_ino
        lines = [line.split() for line in Path("/proc/locks").read_text().splitlines() if f":{inode} " in line]
        return int(lines[0][4]) if lines else None

    @staticmethod
    def started(pid: int) -> int:
        """When a process started, in hundredths of a second since the machine booted."""
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])

    def release(self, name: str) -> None:
        (self.place / "release").write_text(name)

    @property
    def program(self) -> dict[str, Any]:
        """What the plan says of it: its workers are rolled."""
        found = next(one for one in programs(self.settings) if one.server)
        return {"id": found.id, "name": found.name, "way": "roll", "action": "", "surge": 8, "forced": False}

    def replace(self, demand: float | None = None, **changes: Any) -> Answer:
        return inside("replace", {**self.settings, "demand": demand, "programs": [self.program | changes]})

    def nothing(self) -> Answer:
        return inside("replace", {**self.settings, "programs": []})

    def roll(self, **changes: Any) -> Answer:
        return inside("replace", {**self.settings, "programs": [self.program], **changes})


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def said(answer: Answer) -> tuple[int, str]:
    return answer.returncode, answer.stderr.decode()


@contextmanager
def users(gunicorn: Gunicorn) -> Iterator[list[object]]:
    """Ask one time after the other until the block ends: every answer, None for one that failed."""
    answers: list[object] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answers.append(gunicorn.get())

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        stop.set()
        thread.join()
