"""Workers are replaced while they serve, on a real Gunicorn of this machine."""

import json
import os
import signal
import subprocess
import threading
import time
from itertools import pairwise
from pathlib import Path

import pytest

from deploy.inside.record import boot_id, uptime
from deploy.inside.rolling import SHARE, processors
from tests.inside.server import OLDEST, Gunicorn, said, users, wait_until
from tests.inside.world import PROGRAM, inside, words_of


def state_of(pid: int) -> str:
    """Tell, as the kernel does, whether it sleeps, runs or is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


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


def test_no_request_fails_meanwhile(gunicorn: Gunicorn) -> None:
    gunicorn.start("-k", "gevent")
    with users(gunicorn) as answers:
        assert said(gunicorn.roll()) == (0, "")
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
        words_of("replace", gunicorn.settings | {"programs": [gunicorn.program]}),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
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
    assert ended.stderr.startswith((b"replace: the new worker did not boot", b"replace: the master, process "))


def test_a_worker_that_never_answers_is_told(gunicorn: Gunicorn) -> None:
    gunicorn.start()
    (gunicorn.place / "import_seconds").write_text("60")
    assert said(gunicorn.roll(boot_timeout=1)) == (1, "replace: the new worker does not answer, 1 s after its start\n")


def test_the_first_path_that_is_not_404_is_asked(gunicorn: Gunicorn) -> None:
    gunicorn.start()
    assert b"answers (200)" in gunicorn.roll(paths=["/gone", "/"]).stdout


def test_a_roll_that_was_killed_leaves_the_number_of_workers_to_the_next(gunicorn: Gunicorn) -> None:
    gunicorn.start("-k", "gevent")
    (gunicorn.place / "import_seconds").write_text("3")
    rolling = subprocess.Popen(
        words_of("replace", gunicorn.settings | {"programs": [gunicorn.program]}),
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
    )
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
    wanted = {gunicorn.program["id"]: "gunicorn"}
    told = {"revision": "1" * 40, "expect": {}, "protected": [], "wanted": wanted, "left": []}
    assert inside("prove", {**gunicorn.settings, **told}).returncode == 1
    assert gunicorn.roll().returncode == 0
    assert said(inside("prove", {**gunicorn.settings, **told})) == (0, "")


def test_workers_that_there_is_room_for_boot_at_once(gunicorn: Gunicorn) -> None:
    gunicorn.start("-k", "gevent", workers=4)
    (gunicorn.place / "import_seconds").write_text("1")
    old = gunicorn.workers
    assert said(gunicorn.replace(surge=4, forced=True)) == (0, "")
    assert (len(gunicorn.workers), gunicorn.workers & old) == (4, set())
    assert len({gunicorn.started(pid) // 100 for pid in gunicorn.workers}) <= 2


def test_after_one_boot_that_waited_the_rest_boots_at_once(gunicorn: Gunicorn) -> None:
    gunicorn.start("-k", "gevent", workers=4)
    (gunicorn.place / "import_seconds").write_text("2")
    assert said(gunicorn.roll()) == (0, "")
    first, *others = sorted(gunicorn.started(pid) for pid in gunicorn.workers)
    # In hundredths of a second.
    assert others[0] - first > 200
    assert others[-1] - others[0] < 200


def test_boots_that_compute_leave_a_processor_to_who_serves(gunicorn: Gunicorn) -> None:
    gunicorn.start("-k", "gevent", workers=3)
    (gunicorn.place / "computes").touch()
    # Of a short boot most is not the import, where others compute beside it.
    (gunicorn.place / "import_seconds").write_text("2")
    assert said(gunicorn.roll()) == (0, "")
    started = sorted(gunicorn.started(pid) for pid in gunicorn.workers)
    several = processors() * SHARE >= 2
    assert several or min(later - before for before, later in pairwise(started)) > 100


@pytest.mark.parametrize("kind", ["sync", "gthread", "gevent"])
def test_workers_behind_a_unix_socket_are_rolled_too(gunicorn: Gunicorn, kind: str) -> None:
    gunicorn.bind = "unix:app.sock"
    gunicorn.start("-k", kind, workers=2)
    old = gunicorn.workers
    gunicorn.release("new")
    ended = gunicorn.roll()
    assert said(ended) == (0, "")
    assert ended.stdout.count(b" answers (200) ") == 2
    assert (len(gunicorn.workers), gunicorn.workers & old) == (2, set())
    assert gunicorn.get() in {(pid, "new") for pid in gunicorn.workers}
