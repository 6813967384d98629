"""Whoever watches a run may go away at any moment: the host finishes, and tells how it ended."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy import settings, steps, verbs
from deploy.errors import Exit, Failure
from deploy.host import connect
from deploy.plan import Options
from deploy.report import Report
from deploy.sandbox import sshd, stack
from deploy.sandbox.home import Sandbox
from deploy.sandbox.processes import Process, below
from tests.sandbox.conftest import ROOT, Ended, Inv, run_inv
from tests.sandbox.facts import WIDE, colourless, facts, holder

pytestmark = pytest.mark.stack

WAIT_SECONDS = 120.0


@pytest.fixture
def inv(sandbox: Sandbox) -> Inv:
    """Run a verb on the shared production, its text unwrapped."""
    return lambda *words: run_inv(sandbox.name, *words, environment=WIDE)


class Running:
    """A hot update that is under way in a process of its own."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.said = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "invoke", "hot-update", "--yes", "--target", sandbox.name],
            cwd=ROOT,
            env=colourless(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def until(self, beginning: str) -> str:
        """Read what it says up to the first line that begins like this; return that line."""
        assert self.process.stdout
        for line in self.process.stdout:
            self.said += line
            if line.startswith(beginning):
                return line.strip()
        raise AssertionError(f"it never said {beginning!r}: {self.said}{self.ended().err}")

    def ended(self) -> Ended:
        out, err = self.process.communicate(timeout=WAIT_SECONDS)
        return Ended(self.process.returncode, self.said + out, err)


@contextmanager
def updating(sandbox: Sandbox, *, count: int = 1) -> Iterator[list[Running]]:
    """Start hot updates to a new release; none is left when the test ends."""
    stack.release(sandbox.name, "code")
    running = [Running(sandbox) for _ in range(count)]
    try:
        yield running
    finally:
        for one in running:
            one.process.kill()
            one.process.communicate()
        wait_until_free(sandbox)


def wait_until_free(sandbox: Sandbox) -> None:
    """Wait until no process of a run is left on the host: nobody holds the lock that they all inherit."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not is_free(sandbox):
        assert time.monotonic() < deadline, "the lock is never given back"
        time.sleep(0.1)


def is_free(sandbox: Sandbox) -> bool:
    lock = sandbox.path / ".git/hot-update/lock"
    return not lock.exists() or subprocess.run(["flock", "-n", lock, "true"], check=False).returncode == 0


def assert_finished(sandbox: Sandbox, inv: Inv, run: str) -> None:
    """The host finished this run by itself: attach tells its end, nothing is left to do, and no lock is held."""
    attached = inv("attach")
    assert attached.code == 0, attached.text
    assert attached.out.startswith(f"run {run}\n")
    assert "✓ restart" in attached.out
    again = inv("hot-update", "--yes")
    assert again.code == 0, again.text
    assert "nothing to do" in again.out
    assert holder(sandbox) == ""


def test_a_killed_laptop_leaves_a_run_that_finishes_and_no_lock(sandbox: Sandbox, inv: Inv) -> None:
    with updating(sandbox) as (laptop,):
        run = laptop.until("run ").removeprefix("run ")
        laptop.process.kill()
        assert run in holder(sandbox)
        assert_finished(sandbox, inv, run)


def test_a_lost_connection_ends_the_verb_and_not_the_run(sandbox: Sandbox, inv: Inv) -> None:
    with updating(sandbox) as (laptop,):
        run = laptop.until("run ").removeprefix("run ")
        cut_connections(sandbox)
        ended = laptop.ended()
        assert ended.code == 1, ended.text
        assert "was lost; the host finishes the run by itself" in ended.err
        assert f"→ inv attach --target {sandbox.name} tells how it ends" in ended.err
        assert_finished(sandbox, inv, run)


def test_ctrl_c_detaches_and_says_how_to_see_the_end(sandbox: Sandbox, inv: Inv) -> None:
    with updating(sandbox) as (laptop,):
        run = laptop.until("run ").removeprefix("run ")
        laptop.process.send_signal(signal.SIGINT)
        ended = laptop.ended()
        assert ended.code == 130, ended.text
        assert "✗ detached: the host finishes the run by itself\n" in ended.err
        assert f"→ inv attach --target {sandbox.name} tells how it ends" in ended.err
        assert "Traceback" not in ended.text
        assert_finished(sandbox, inv, run)


def test_of_two_updates_at_once_one_is_done_and_the_other_names_it(sandbox: Sandbox, inv: Inv) -> None:
    with updating(sandbox, count=2) as both:
        done, locked = sorted((one.ended() for one in both), key=lambda ended: ended.code)
    assert (done.code, locked.code) == (0, 4), done.text + locked.text
    run = re.search(r"^run (\S+)$", done.out, re.MULTILINE)
    assert run
    assert "✗ another run holds the lock, nothing was done" in locked.err
    assert re.search(rf"^  hot-update by \S+@\S+, run {run[1]} since \d{{4}}-\d\d-\d\d ", locked.err, re.MULTILINE)
    assert f"→ inv attach --target {sandbox.name} follows it" in locked.err
    assert inv("health").code == 0


def test_a_dead_harness_is_told_and_the_next_verb_takes_over_its_lock(sandbox: Sandbox, inv: Inv) -> None:
    with updating(sandbox) as (laptop,):
        run = laptop.until("run ").removeprefix("run ")
        laptop.until("▸ restart")
        pid = re.search(r"^pid\t(\d+)$", holder(sandbox), re.MULTILINE)
        assert pid
        os.kill(int(pid[1]), signal.SIGKILL)
        ended = laptop.ended()
        assert ended.code == 1, ended.text
        assert "the run's harness is gone and how it ended is unknown" in ended.err
        assert re.search(r"^  now: clone at \w{7}, container at ", ended.err, re.MULTILINE)
        assert inv("attach").code == 1
        # What the step left behind on the host still holds the lock: nobody may work beside it.
        wait_until_free(sandbox)

    preflight = inv("preflight")
    assert f"run {run}" in next(line for line in preflight.out.splitlines() if line.startswith("!  lock"))
    next_one = inv("restart")
    assert next_one.code == 0, next_one.text
    assert f"took over the lock of run {run}: its lock is free" in next_one.out
    assert holder(sandbox) == ""
    assert inv("hot-update", "--yes").code == 0


def test_a_host_that_changed_since_it_was_read_is_left_alone(sandbox: Sandbox) -> None:
    stack.release(sandbox.name, "code")
    chosen = settings.load(project=ROOT, target=sandbox.name)
    connected = connect(chosen.target, chosen.ssh, ask=None)
    try:
        session = verbs.Session(chosen, connected, Report())
        decision = verbs.decide(session, "hot-update", steps.HOT_UPDATE, "remote", Options())
        stack.break_(sandbox.name, "unpushed")
        before = facts(sandbox)
        with pytest.raises(Failure) as refused:
            verbs.carry_out(session, decision.plan, decision.state, decision.run)
    finally:
        connected.close()
    assert refused.value.code == Exit.REFUSED
    assert refused.value.fact == "the host changed since its state was read, nothing was done"
    assert f"HEAD: {decision.state.repository.head} -> {before.head}" in refused.value.evidence
    assert facts(sandbox) == before
    assert holder(sandbox) == ""


def cut_connections(sandbox: Sandbox) -> None:
    """Kill sshd's sessions. The harness descends from one of them, and is to stay."""
    listener = sshd.process(sandbox)
    assert listener
    sessions = [process for process in below(listener) if is_sshd(process)]
    assert sessions
    for session in sessions:
        os.kill(session.pid, signal.SIGKILL)


def is_sshd(process: Process) -> bool:
    try:
        return Path(f"/proc/{process.pid}/comm").read_text(encoding="utf-8").startswith("sshd")
    except OSError:
        # It ended meanwhile.
        return False
