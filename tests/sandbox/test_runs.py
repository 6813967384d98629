"""Whoever watches a run may go away at any moment: the host finishes, and tells how it ended."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from deploy import inside, settings, shell, steps
from deploy.errors import Exit, Failure
from deploy.host import connect
from deploy.host.local import LocalHost
from deploy.plan import Options
from deploy.sandbox import sshd, stack
from deploy.sandbox.command import run
from deploy.sandbox.git import git
from deploy.sandbox.home import Sandbox
from deploy.sandbox.processes import Process, below
from deploy.state import asking, inside_settings, read_script, variables
from deploy.verbs import update
from deploy.verbs.follow import operator
from deploy.verbs.session import Session
from deploy.wording import text
from tests.plain import plain
from tests.sandbox.conftest import ROOT, Ended, Inv, without_times
from tests.sandbox.facts import facts, holder
from tests.test_events import document

pytestmark = pytest.mark.stack

WAIT_SECONDS = 120.0


@pytest.fixture
def hasty(tmp_path: Path) -> str:
    """A settings file with which the host waits but a moment for the confirmation."""
    file = tmp_path / "hasty.yaml"
    file.write_text("health: {timeout: 5}\nconfirm: {timeout: 8}\n", encoding="utf-8")
    return str(file)


class Running:
    """A hot update that is under way in a process of its own."""

    def __init__(self, target: str, settings: str, *words: str) -> None:
        self.said = ""
        given = ("-f", settings) if settings else ()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "invoke", *given, "hot-update", "--yes", *words, "--target", target],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def until(self, beginning: str) -> str:
        """Read what it says up to the first line that begins like this; return that line."""
        assert self.process.stdout
        for line in self.process.stdout:
            told = without_times(line)
            self.said += told
            if told.startswith(beginning):
                return told.strip()
        raise AssertionError(f"it never said {beginning!r}: {self.said}{self.ended().err}")

    def ended(self) -> Ended:
        out, err = self.process.communicate(timeout=WAIT_SECONDS)
        return Ended(self.process.returncode, self.said + out, err)


@contextmanager
def updating(sandbox: Sandbox, *, count: int = 1, settings: str = "") -> Iterator[list[Running]]:
    """Start hot updates to a new release; none is left when the test ends."""
    stack.release(sandbox.name, "code")
    running = [Running(sandbox.name, settings) for _ in range(count)]
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


def releases(sandbox: Sandbox) -> tuple[str, str]:
    """What the container runs and where the clone is."""
    found = facts(sandbox)
    return json.loads(found.record)["revision"], found.head


def assert_whole(sandbox: Sandbox, inv: Inv, revision: str) -> None:
    """Production is healthy on this release, the clone is there too, and nobody holds the lock."""
    assert inv("health").code == 0
    assert releases(sandbox) == (revision, revision)
    assert holder(sandbox) == ""
    assert is_free(sandbox)


def last_run(inv: Inv) -> dict[str, str]:
    runs: list[dict[str, str]] = document(inv("history", "--json").out)
    return runs[-1]


@pytest.fixture
def old(sandbox: Sandbox, inv: Inv) -> str:
    """Bring production to a confirmed release, and return that."""
    ended = inv("hot-update", "--yes", "--allow-unsuitable")
    assert ended.code == 0, ended.text
    return facts(sandbox).head


def test_a_killed_laptop_leaves_a_run_that_the_host_finishes_proves_and_confirms(
    sandbox: Sandbox, inv: Inv, hasty: str
) -> None:
    with updating(sandbox, settings=hasty) as (laptop,):
        run = laptop.until("run ").removeprefix("run ")
        laptop.until("▸ proof")
        laptop.process.kill()
        assert run in holder(sandbox)
        attached = inv("attach")
        assert attached.code == 0, attached.text
        assert attached.out.startswith(f"run {run}\n")
        assert "✓ confirmed by the host" in attached.out
    assert_whole(sandbox, inv, git(sandbox.origin, "rev-parse", "main"))
    assert "nothing to do" in inv("hot-update", "--yes").out


def test_a_lost_connection_is_opened_again_and_the_run_followed_to_its_end(sandbox: Sandbox, inv: Inv) -> None:
    with updating(sandbox) as (laptop,):
        laptop.until("▸ copy")
        cut_connections(sandbox)
        ended = laptop.ended()
    assert ended.code == 0, ended.text
    assert "connecting again" in ended.out
    assert "✓ confirmed by " in ended.out
    assert ended.out.count("▸ restart") == 1
    assert_whole(sandbox, inv, git(sandbox.origin, "rev-parse", "main"))


def test_ctrl_c_undoes_the_run_after_the_running_step(sandbox: Sandbox, inv: Inv, old: str) -> None:
    with updating(sandbox) as (laptop,):
        laptop.until("▸ copy")
        laptop.process.send_signal(signal.SIGINT)
        ended = laptop.ended()
    assert ended.code == 130, ended.text
    assert "Ctrl-C again detaches" in ended.out
    assert "✓ undo copy" in ended.out
    assert ended.err.startswith("✗ interrupted\n")
    assert f"undone: {sandbox.name} is as healthy as before" in ended.err
    assert "Traceback" not in ended.text
    assert_whole(sandbox, inv, old)
    assert last_run(inv)["outcome"] == "undone"
    assert f"  undone by {operator()}  " in inv("history").out


@pytest.mark.does("see_end")
def test_a_second_ctrl_c_detaches_and_says_how_to_see_the_end(sandbox: Sandbox, inv: Inv, old: str) -> None:
    with updating(sandbox) as (laptop,):
        laptop.until("▸ copy")
        laptop.process.send_signal(signal.SIGINT)
        laptop.until("interrupted")
        laptop.process.send_signal(signal.SIGINT)
        ended = laptop.ended()
        assert ended.code == 130, ended.text
        assert "✗ detached: the host finishes the run by itself\n" in ended.err
        assert f"→ inv attach --target {sandbox.name} tells how it ends" in ended.err
        assert inv("attach").code == 5
    assert_whole(sandbox, inv, old)


def test_another_laptop_can_confirm_or_have_the_run_undone(sandbox: Sandbox, inv: Inv, old: str, hasty: str) -> None:
    with updating(sandbox, settings=hasty) as (laptop,):
        laptop.until("▸ copy")
        laptop.process.kill()
        undone = inv("attach", "--undo")
        assert undone.code == 5, undone.text
    assert_whole(sandbox, inv, old)
    with updating(sandbox) as (laptop,):
        laptop.until("▸ restart")
        laptop.process.kill()
        confirmed = inv("attach", "--confirm")
        assert confirmed.code == 0, confirmed.text
    assert_whole(sandbox, inv, git(sandbox.origin, "rev-parse", "main"))


@pytest.mark.does("follow_run")
def test_of_two_updates_at_once_one_is_done_and_the_other_names_it_and_one_that_waits_is_next(
    sandbox: Sandbox, inv: Inv
) -> None:
    with updating(sandbox, count=2) as started:
        while is_free(sandbox):
            time.sleep(0.05)
        started.append(Running(sandbox.name, "", "--wait"))
        *both, patient = (one.ended() for one in started)
    done, locked = sorted(both, key=lambda ended: ended.code)
    assert (done.code, locked.code) == (0, 4), done.text + locked.text
    run = re.search(r"^run (\S+)$", done.out, re.MULTILINE)
    assert run
    assert "✗ another run holds the lock, nothing was done" in locked.err
    assert re.search(rf"^  (held by )?hot-update by \S+@\S+, run {run[1]}", locked.err, re.MULTILINE)
    assert f"→ inv attach --target {sandbox.name} follows it" in locked.err
    assert re.search(rf"^waiting: (held by )?hot-update by \S+@\S+, run {run[1]}", patient.out, re.MULTILINE)
    assert (patient.code, "nothing to do" in patient.out) == (0, True), patient.text


def test_a_run_whose_harness_died_is_finished_by_the_laptop_that_follows_it(
    sandbox: Sandbox, inv: Inv, old: str
) -> None:
    with updating(sandbox) as (laptop,):
        laptop.until("▸ restart")
        kill_harness(sandbox)
        ended = laptop.ended()
    assert ended.code == 5, ended.text
    assert "the run's harness died; another one finishes it" in ended.out
    assert "its harness died" in ended.err
    assert_whole(sandbox, inv, old)


def test_what_a_run_left_at_work_in_the_container_is_ended_before_it_is_undone(
    sandbox: Sandbox, inv: Inv, old: str
) -> None:
    with updating(sandbox) as (laptop,):
        laptop.until("▸ restart")
        laptop.until("    whalefall")
        kill_all(sandbox)
        ended = laptop.ended()
    assert ended.code == 5, ended.text
    assert "an earlier update still works" not in ended.text
    assert_whole(sandbox, inv, old)


@pytest.mark.does("finish_run")
def test_a_run_that_nobody_follows_and_whose_harness_died_is_finished_by_the_next_verb(
    sandbox: Sandbox, inv: Inv, old: str
) -> None:
    with updating(sandbox) as (laptop,):
        run = laptop.until("run ").removeprefix("run ")
        laptop.until("▸ copy")
        laptop.process.kill()
        kill_harness(sandbox)
        wait_until_free(sandbox)
    status = inv("status")
    assert f"left by hot-update by {operator()}, run {run}, which is gone" in status.out
    next_one = inv("unlock")
    assert next_one.code == 0, next_one.text
    assert f"run {run} had died and was finished first: undone" in next_one.out
    assert_whole(sandbox, inv, old)


def harness(sandbox: Sandbox) -> Process:
    pid = re.search(r"^pid\t(\d+)$", holder(sandbox), re.MULTILINE)
    assert pid
    found = Process.of(int(pid[1]))
    assert found
    return found


def kill_harness(sandbox: Sandbox) -> None:
    os.kill(harness(sandbox).pid, signal.SIGKILL)


def kill_all(sandbox: Sandbox) -> None:
    """Kill what a run has at work on the host; what it has in the container goes on."""
    first = harness(sandbox)
    for process in (first, *below(first)):
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


def test_a_host_that_changed_since_it_was_read_is_left_alone(sandbox: Sandbox) -> None:
    stack.release(sandbox.name, "code")
    chosen = settings.load(project=ROOT, target=sandbox.name)
    session = Session(chosen, lambda: connect(chosen.target, chosen.ssh, ask=None))
    try:
        decision = update.decide(session, "hot-update", steps.HOT_UPDATE, "remote", Options())
        stack.break_(sandbox.name, "unpushed")
        before = facts(sandbox)
        with pytest.raises(Failure) as refused:
            update.carry_out(session, decision.plan, decision.state, decision.run)
    finally:
        session.close()
    assert refused.value.code == Exit.REFUSED
    assert text(refused.value.fact) == "the host changed since its state was read, nothing was changed"
    assert f"HEAD: {decision.state.repository.head} -> {before.head}" in map(text, refused.value.evidence)
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


def test_what_a_run_left_in_the_container_is_ended_whoever_it_belongs_to(sandbox: Sandbox) -> None:
    chosen = settings.load(project=ROOT, target=sandbox.name)
    run("docker", "exec", "-d", "-u", "whalefall", "-e", "HOT_UPDATE_RUN=r1", sandbox.app, "sleep", "300")
    told = {"run": "r1", "inside_settings": json.dumps(inside_settings(chosen) | {"run": "r1"})}
    settle = shell.script(
        "containers.sh", asking(chosen), "settle.sh", **inside.variables(), **{**variables(chosen), **told}
    )
    answer = LocalHost().run(settle)
    assert (answer.status, plain(answer.stdout)) == (0, "1 process of the run ended\n")


def test_damaged_files_in_the_container_are_named_and_no_good_restart_is_undone(sandbox: Sandbox, inv: Inv) -> None:
    assert inv("hot-update", "--yes").code == 0
    files = [f"/var/lib/hot-update/{name}.json" for name in ("rolls", "rolling", "undone")]
    before = facts(sandbox)
    for file in files:
        run("docker", "exec", sandbox.app, "sh", "-c", f"echo '{{\"workers\": -1' >{file}")
    try:
        status = inv("status")
        assert [file for file in files if file in status.text] == files
        ended = inv("restart")
        assert ended.code == 0, ended.text
        assert inv("health").code == 0
        assert facts(sandbox) == before
    finally:
        run("docker", "exec", sandbox.app, "rm", "-f", *files)


@pytest.mark.parametrize("seconds", [0.1, 0.4])
def test_a_reading_that_is_cut_off_leaves_nothing_at_work_on_the_host(
    sandbox: Sandbox, tmp_path: Path, seconds: float
) -> None:
    script = tmp_path / "read.sh"
    script.write_text(read_script(settings.load(project=ROOT, target=sandbox.name), target="remote"), encoding="utf-8")
    reading = subprocess.Popen(
        ["bash", script], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    assert reading.stdout
    time.sleep(seconds)
    reading.stdout.close()
    reading.send_signal(signal.SIGHUP)
    reading.wait()
    deadline = time.monotonic() + 60
    while left := subprocess.run(["pgrep", "--session", str(reading.pid)], capture_output=True, check=False).stdout:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
