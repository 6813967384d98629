"""The rolling restart, on a real Gunicorn of this machine."""

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from deploy.inside.record import boot_id, uptime
from tests.inside.world import PROGRAM, Answer, inside, words_of

# A name of its own, so that nothing else on this machine is taken for the server.
SERVER = f"gunicorn-rolled-{os.getpid()}"
# The other end of the range that pyproject.toml has.
OLDEST = "22.0.0"
APP = """
import fcntl, os, sys, time
time.sleep(float(open("import_seconds").read()))
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

    def start(self, *options: str, workers: int = 1) -> None:
        words = [sys.executable, str(self.place / SERVER), "-c", "gunicorn.conf.py", "-b", f"127.0.0.1:{self.port}"]
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
        try:
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

    def release(self, name: str) -> None:
        (self.place / "release").write_text(name)

    def roll(self, **changes: Any) -> Answer:
        return inside("roll", {**self.settings, **changes})


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.fixture
def gunicorn(tmp_path: Path) -> Iterator[Gunicorn]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = Gunicorn(tmp_path, port)
    (tmp_path / "record").mkdir()
    made.settings = {
        "app": str(tmp_path),
        "record": str(tmp_path / "record"),
        "server": SERVER,
        "paths": ["/"],
        "exclusive": ["scheduler.lock"],
        "boot_timeout": 20,
        "drain_timeout": 20,
    }
    (tmp_path / "wsgi.py").write_text(APP)
    (tmp_path / "import_seconds").write_text("0")
    (tmp_path / "gunicorn.conf.py").write_text("")
    os.utime(tmp_path / "gunicorn.conf.py", (0, 0))
    (tmp_path / SERVER).write_text("import sys\nfrom gunicorn.app.wsgiapp import run\nsys.exit(run())\n")
    made.release("old")
    yield made
    if made.process:
        # At once, and with its workers.
        made.process.send_signal(signal.SIGQUIT)
        made.process.wait()


@pytest.fixture
def oldest(gunicorn: Gunicorn, pytestconfig: pytest.Config) -> Gunicorn:
    """The oldest Gunicorn of the range, fetched once."""
    folder = pytestconfig.cache.mkdir(f"gunicorn-{OLDEST}") if pytestconfig.cache else gunicorn.place / "library"
    if not (folder / f"gunicorn-{OLDEST}.dist-info").exists():
        words = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), f"gunicorn=={OLDEST}"]
        subprocess.run([sys.executable, *words], check=True)
    gunicorn.library = str(folder)
    return gunicorn


def state_of(pid: int) -> str:
    """Tell, as the kernel does, whether it sleeps, runs or is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def said(answer: Answer) -> tuple[int, str]:
    return answer.returncode, answer.stderr.decode()


@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent"])
@pytest.mark.parametrize("workers", [1, 2])
def test_every_worker_is_replaced_and_runs_the_new_code(gunicorn: Gunicorn, kind: str, workers: int) -> None:
    gunicorn.start("-k", kind, workers=workers)
    master, old = gunicorn.master, gunicorn.workers
    gunicorn.release("new")
    assert said(gunicorn.roll()) == (0, "")
    assert gunicorn.master == master
    assert (len(gunicorn.workers), gunicorn.workers & old) == (workers, set())
    assert {gunicorn.get() for _ in range(20)} <= {(pid, "new") for pid in gunicorn.workers}


@pytest.mark.parametrize("kind", ["sync", "gevent"])
def test_the_oldest_gunicorn_of_the_range_is_rolled_too(oldest: Gunicorn, kind: str) -> None:
    oldest.start("-k", kind)
    old = oldest.workers
    oldest.release("new")
    assert f"Starting gunicorn {OLDEST}" in (oldest.place / "log").read_text()
    assert said(oldest.roll()) == (0, "")
    assert (len(oldest.workers), oldest.workers & old) == (1, set())
    assert oldest.get() == (next(iter(oldest.workers)), "new")


def test_the_settings_of_the_oldest_gunicorn_are_read_too(oldest: Gunicorn) -> None:
    oldest.start("--preload")
    assert said(oldest.roll()) == (1, "roll: the app is preloaded, so new workers would run the old code\n")


def test_no_request_fails_meanwhile(gunicorn: Gunicorn) -> None:
    gunicorn.start("-k", "gevent")
    answers: list[object] = []
    stop = threading.Event()

    def ask() -> None:
        while not stop.is_set():
            answers.append(gunicorn.get())

    thread = threading.Thread(target=ask)
    thread.start()
    assert said(gunicorn.roll()) == (0, "")
    stop.set()
    thread.join()
    assert len(answers) > 10
    assert None not in answers


def test_a_request_in_flight_is_finished_by_the_old_worker(gunicorn: Gunicorn) -> None:
    gunicorn.start("-k", "gevent")
    (old,) = gunicorn.workers
    answers: list[object] = []
    thread = threading.Thread(target=lambda: answers.append(gunicorn.get("/slow")))
    thread.start()
    time.sleep(0.3)
    gunicorn.release("new")
    assert said(gunicorn.roll()) == (0, "")
    thread.join()
    assert answers == [(old, "old")]


def test_workers_that_do_not_drain_are_told(gunicorn: Gunicorn) -> None:
    gunicorn.start("-k", "gevent")
    thread = threading.Thread(target=lambda: gunicorn.get("/slow"))
    thread.start()
    time.sleep(0.3)
    ended = gunicorn.roll(drain_timeout=0.5)
    assert (ended.returncode, b"still has requests in flight" in ended.stderr) == (1, True)
    thread.join()


@pytest.mark.parametrize(
    ("import_seconds", "more"), [("0", []), ("2", ["what served in between leaves again: 1 worker as before"])]
)
def test_a_new_worker_holds_the_exclusive_file_in_the_end(
    gunicorn: Gunicorn, import_seconds: str, more: list[str]
) -> None:
    gunicorn.start_with_lock()
    (gunicorn.place / "import_seconds").write_text(import_seconds)
    ended = gunicorn.roll()
    assert said(ended) == (0, "")
    told = ended.stdout.decode().splitlines()
    assert told[told.index("scheduler.lock: held by a new worker") + 1 :] == more
    wait_until(lambda: gunicorn.workers == {gunicorn.holder})


def test_who_is_to_hold_the_file_waits_for_one_that_is_slow_to_leave(gunicorn: Gunicorn) -> None:
    gunicorn.start_with_lock()
    (gunicorn.place / "import_seconds").write_text("2")
    thread = threading.Timer(1, lambda: gunicorn.get("/slow"))
    thread.start()
    ended = gunicorn.roll()
    thread.join()
    assert (said(ended), ended.stdout.count(b"answers")) == ((0, ""), 2)
    wait_until(lambda: gunicorn.workers == {gunicorn.holder})


def test_a_roll_that_is_ended_lets_go_of_whom_it_holds(gunicorn: Gunicorn) -> None:
    gunicorn.start_with_lock()
    (gunicorn.place / "import_seconds").write_text("2")
    threading.Timer(1, lambda: gunicorn.get("/slow")).start()
    with subprocess.Popen(
        words_of("roll", gunicorn.settings), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
    ) as roll:
        assert roll.stdin
        roll.stdin.write(PROGRAM)
        roll.stdin.close()
        wait_until(lambda: "T" in map(state_of, gunicorn.workers))
        roll.terminate()
    assert roll.returncode == 143
    wait_until(lambda: "T" not in map(state_of, gunicorn.workers))


def test_a_roll_right_after_another_does_not_count_who_is_still_to_leave(gunicorn: Gunicorn) -> None:
    gunicorn.start_with_lock()
    for _ in range(2):
        assert said(gunicorn.roll()) == (0, "")
    wait_until(lambda: gunicorn.workers == {gunicorn.holder})


def test_who_goes_last_has_an_heir_only_where_it_holds_the_file(gunicorn: Gunicorn) -> None:
    gunicorn.start_with_lock()
    os.kill(gunicorn.master, signal.SIGTTIN)
    wait_until(lambda: len(gunicorn.workers) == 2)
    (gunicorn.place / "import_seconds").write_text("2")
    ended = gunicorn.roll()
    assert (said(ended), ended.stdout.count(b"answers")) == ((0, ""), 2)
    assert ended.stdout.endswith(b"scheduler.lock: held by a new worker\n")
    assert len(gunicorn.workers) == 2


def test_an_exclusive_file_that_nobody_held_costs_no_worker(gunicorn: Gunicorn) -> None:
    gunicorn.start("-k", "gevent")
    assert gunicorn.roll().stdout.count(b"answers") == 1


def test_a_file_that_the_new_code_does_not_lock_is_told(gunicorn: Gunicorn) -> None:
    gunicorn.start_with_lock()
    (gunicorn.place / "lock_wanted").unlink()
    ended = gunicorn.roll()
    assert (ended.returncode, b"scheduler.lock: no worker holds it\n" in ended.stdout) == (0, True)


def test_a_worker_that_does_not_boot_is_told(gunicorn: Gunicorn) -> None:
    gunicorn.start()
    (gunicorn.place / "wsgi.py").write_text("raise RuntimeError")
    ended = gunicorn.roll()
    assert ended.returncode == 1
    assert ended.stderr.startswith((b"roll: the new worker did not boot", b"roll: the master, process "))


def test_a_worker_that_never_answers_is_told(gunicorn: Gunicorn) -> None:
    gunicorn.start()
    (gunicorn.place / "import_seconds").write_text("60")
    assert said(gunicorn.roll(boot_timeout=1)) == (1, "roll: the new worker does not answer, 1 s after its start\n")


def test_a_preloaded_app_cannot_be_rolled(gunicorn: Gunicorn) -> None:
    (gunicorn.place / "gunicorn.conf.py").write_text("preload_app = True\n")
    os.utime(gunicorn.place / "gunicorn.conf.py", (0, 0))
    gunicorn.start()
    assert said(gunicorn.roll()) == (1, "roll: the app is preloaded, so new workers would run the old code\n")


def test_a_config_file_that_changed_since_the_master_started_cannot_be_rolled(gunicorn: Gunicorn) -> None:
    gunicorn.start()
    assert gunicorn.roll().returncode == 0
    later = time.time() + 5
    os.utime(gunicorn.place / "gunicorn.conf.py", (later, later))
    assert said(gunicorn.roll()) == (1, f"roll: gunicorn.conf.py changed since {SERVER} started\n")


def test_a_master_that_was_started_with_a_release_that_is_undone_cannot_be_rolled(gunicorn: Gunicorn) -> None:
    began = uptime()
    gunicorn.start()
    undone = {"boot_id": boot_id(), "from": began, "to": uptime()}
    (gunicorn.place / "record/undone.json").write_text(json.dumps(undone))
    assert said(gunicorn.roll()) == (1, f"roll: {SERVER} was started with the release that is undone\n")
    for other in ({"to": began}, {"from": uptime()}, {"boot_id": "another"}):
        (gunicorn.place / "record/undone.json").write_text(json.dumps(undone | other))
        assert said(gunicorn.roll()) == (0, "")


def test_without_a_master_there_is_nothing_to_roll(gunicorn: Gunicorn) -> None:
    assert said(gunicorn.roll()) == (1, f"roll: 0 masters of {SERVER} run, not one\n")


def test_the_first_path_that_is_not_404_is_asked(gunicorn: Gunicorn) -> None:
    gunicorn.start()
    assert b"answers (200)" in gunicorn.roll(paths=["/gone", "/"]).stdout


def test_a_roll_that_was_killed_leaves_the_number_of_workers_to_the_next(gunicorn: Gunicorn) -> None:
    gunicorn.start("-k", "gevent")
    (gunicorn.place / "import_seconds").write_text("3")
    rolling = subprocess.Popen(words_of("roll", gunicorn.settings), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
    assert rolling.stdin
    rolling.stdin.write(PROGRAM)
    rolling.stdin.close()
    wait_until(lambda: len(gunicorn.workers) == 2)
    rolling.kill()
    rolling.wait()
    (gunicorn.place / "import_seconds").write_text("0")
    assert said(gunicorn.roll()) == (0, "")
    wait_until(lambda: len(gunicorn.workers) == 1)


def test_a_rolled_master_serves_what_was_copied_before(gunicorn: Gunicorn) -> None:
    gunicorn.start()
    record = {"revision": "1" * 40, "run": "run-1", "complete": True, "boot_id": boot_id(), "uptime": uptime()}
    (gunicorn.place / "record/record.json").write_text(json.dumps(record))
    told = {"app": str(gunicorn.place), "revision": "1" * 40, "expect": {}, "protected": []}
    assert inside("prove", {**gunicorn.settings, **told}).returncode == 1
    assert gunicorn.roll().returncode == 0
    assert said(inside("prove", {**gunicorn.settings, **told})) == (0, "")
