"""Each program is replaced as the plan says, on a real Gunicorn of this machine."""

import threading
import time
from pathlib import Path

import pytest

from tests.inside.server import SERVER, Gunicorn, said, users, wait_until

# Notes when a worker begins to run the code, and when it has ended.
LIVED = """
import atexit, os, time
def note(what):
    with open("spans", "a") as stream:
        stream.write(f"{what} {os.getpid()} {time.monotonic()}\\n")
"""
SPANS = """
def post_worker_init(worker):
    note("begin")
def worker_exit(server, worker):
    note("end")
"""


def spans(place: Path) -> list[str]:
    return [line.split()[0] for line in (place / "spans").read_text().splitlines()]


@pytest.mark.parametrize(
    ("kind", "demand"),
    [("sync", None), ("gthread", None), ("gevent", None), ("sync", 0.1)],
    ids=["sync", "gthread", "gevent", "sync, and boots wait"],
)
def test_what_must_never_run_twice_leaves_before_the_next_one_starts_and_no_request_fails(
    gunicorn: Gunicorn, kind: str, demand: float | None
) -> None:
    (gunicorn.place / "gunicorn.conf.py").write_text(LIVED + SPANS)
    gunicorn.start("-k", kind)
    (gunicorn.place / "import_seconds").write_text("1")
    gunicorn.release("new")
    (old,) = gunicorn.workers
    with users(gunicorn) as answers:
        ended = gunicorn.replace(way="handover", demand=demand)
    assert said(ended) == (0, "")
    assert old not in gunicorn.workers
    assert (None in answers, len(answers) > 2) == (False, True)
    assert spans(gunicorn.place)[:3] == ["begin", "end", "begin"]
    assert gunicorn.get() == (next(iter(gunicorn.workers)), "new")


def test_a_master_reads_its_settings_again_and_no_request_fails(gunicorn: Gunicorn) -> None:
    gunicorn.start("-k", "gevent")
    old, master = gunicorn.workers, gunicorn.master
    gunicorn.release("new")
    (gunicorn.place / "gunicorn.conf.py").write_text("keepalive = 7\n")
    with users(gunicorn) as answers:
        ended = gunicorn.replace(way="reload")
    assert said(ended) == (0, "")
    assert gunicorn.master == master
    wait_until(lambda: len(gunicorn.workers) == 1)
    assert (gunicorn.workers & old, None in answers) == (set(), False)
    assert gunicorn.get() == (next(iter(gunicorn.workers)), "new")


@pytest.mark.parametrize("slow", [False, True])
def test_after_its_settings_were_read_again_a_worker_holds_the_exclusive_file(gunicorn: Gunicorn, slow: bool) -> None:
    gunicorn.start_with_lock()
    if slow:
        threading.Thread(target=lambda: gunicorn.get("/slow")).start()
        time.sleep(0.3)
    ended = gunicorn.replace(way="reload")
    assert (said(ended), b"scheduler.lock: held by a new worker" in ended.stdout) == ((0, ""), True)
    wait_until(lambda: gunicorn.workers == {gunicorn.holder})


def test_without_an_app_server_only_the_container_can_be_restarted(gunicorn: Gunicorn) -> None:
    assert said(gunicorn.nothing()) == (1, f"replace: no {SERVER} runs\n")


def test_a_program_of_the_plan_that_does_not_run_is_told(gunicorn: Gunicorn) -> None:
    gunicorn.start()
    ended = gunicorn.replace(id="f" * 12, name="beat")
    assert (said(ended), b"beat does not run" in ended.stdout) == ((0, ""), True)
