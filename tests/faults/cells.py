"""One cell of the matrix: an update to a release with code, a deleted file and a migration, and a fault at a point."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from deploy.errors import Failure
from deploy.sandbox import compose, stack
from deploy.sandbox.home import Sandbox
from deploy.sandbox.shape import TODAY
from deploy.wording import text
from tests import leaks
from tests.faults import production
from tests.faults.engine import Engine
from tests.faults.faults import FAULTS, Fault, Scene
from tests.faults.laptop import ROOT
from tests.sandbox.conftest import run_inv
from tests.sandbox.facts import facts, holder

# Short times, so that a run that nobody confirms is over soon.
SETTINGS = "confirm: {timeout: 15}\nhealth: {timeout: 10}\n"
# Of the shape that has one.
FRONTEND = "built: {frontend: {command: sh frontend/build}}\n"
# What an outcome says besides the release.
DATABASE_NEW, UNLOCKED, UPDATED, MENDED = "database new", "unlock", "hot-update again", "mended"
REACH_SECONDS = 90.0
END_SECONDS = 240.0


@dataclass(frozen=True)
class Cell:
    """A fault at a point of an update, of the app in one of its shapes."""

    shape: str
    fault: str
    point: str

    def __str__(self) -> str:
        return f"{self.fault} at {self.point} of {self.shape}"


def carry_out(sandbox: Sandbox, cell: Cell, engine: Engine | None = None) -> str:
    """Let the fault happen, wait until all has ended, check everything; the outcome in a word or two.

    AssertionError tells everything that is not as it should be.
    """
    make_ready(sandbox)
    was, fault = production.before(sandbox), FAULTS[cell.fault]
    with laptop(sandbox, cell, fault) as process:
        assert process.stdout
        run = process.stdout.readline().strip()
        folder = sandbox.path / ".git/hot-update/runs" / run
        reached = folder / "reached"
        assert run.startswith("20"), run + process.stdout.read()
        scene = Scene(sandbox, process, was, engine)
        if not fault.fail:
            wait_until(lambda: reached.exists() or process.poll() is not None, REACH_SECONDS)
            assert reached.exists(), f"the update never came to {cell.point}: {process.stdout.read()}"
            fault.strike(scene)
            (folder / "go").touch()
        said = last_words(process, folder)
        leaks.printed.append(said)
    assert reached.exists(), f"the update never came to {cell.point}: {said}"
    wait_until(lambda: production.is_free(sandbox), END_SECONDS)
    try:
        return judge(sandbox, scene.was, run, fault)
    except (AssertionError, Failure) as problem:
        shown = map(text, (problem.fact, *problem.evidence)) if isinstance(problem, Failure) else (str(problem),)
        with suppress(Failure):
            stack.restore(sandbox.name)
        raise AssertionError("\n".join((*shown, said, journal(folder)))) from problem


def last_words(process: subprocess.Popen[str], folder: Path) -> str:
    try:
        return process.communicate(timeout=END_SECONDS)[0]
    except subprocess.TimeoutExpired as late:
        # It holds bytes, whatever the process was told to give.
        said = late.output.decode(errors="replace") if isinstance(late.output, bytes) else ""
        running = subprocess.run(
            ["ps", "-eo", "pid,ppid,etime,args", "--forest"], capture_output=True, text=True, check=True
        )
        raise AssertionError("\n".join(("the laptop has not ended", said, journal(folder), running.stdout))) from None


def judge(sandbox: Sandbox, was: production.Before, run: str, fault: Fault) -> str:
    """Finish what is unfinished with one verb, mend what only an operator can, then look at everything."""
    words = []
    if holder(sandbox):
        words.append(UNLOCKED)
        finish(sandbox, "unlock")
    healthy = production.healthy(sandbox)
    problems = production.clone_problems(sandbox, was)
    if fault.victim and not healthy:
        words.append(MENDED)
    if fault.victim:
        mend(sandbox)
    if not production.healthy(sandbox):
        problems.append("the app is ill")
    claimed = production.outcome(sandbox, run)
    if UNLOCKED not in words and claimed not in ("done", "undone") and not production.is_whole(sandbox, was):
        # It said itself that production is not as before: what it then takes is one more update.
        words.append(UPDATED)
        finish(sandbox, "hot-update")
        problems = production.clone_problems(sandbox, was)
    word, more = production.release(sandbox, was)
    problems += more + production.history_problems(sandbox, run, word, healthy=healthy, updated=UPDATED in words)
    if problems:
        raise AssertionError("; ".join(problems))
    if word == "old" and production.database(sandbox) == was.new_database:
        words.insert(0, DATABASE_NEW)
    return ", ".join((word, *words))


def finish(sandbox: Sandbox, verb: str) -> None:
    """Run the one more verb that a cell may need; whatever it says of the run that it finishes."""
    run_inv(sandbox.name, *given(sandbox), verb, "--yes")


def mend(sandbox: Sandbox) -> None:
    """Do what an operator does about a stopped service or a full disk, and nothing to the release."""
    (sandbox.host / "ballast").unlink(missing_ok=True)
    compose.start(sandbox)
    with suppress(Failure):
        compose.wait_until_healthy(sandbox, seconds=60)


def make_ready(sandbox: Sandbox) -> None:
    """Make production well and known, and have a release wait for it."""
    if not known(sandbox):
        stack.restore(sandbox.name)
        ended = run_inv(sandbox.name, *given(sandbox), "hot-update", "--yes", "--discard")
        assert ended.code == 0, f"the sandbox cannot be made ready: {ended.text}"
    production.publish(sandbox)


def known(sandbox: Sandbox) -> bool:
    """Tell whether the last cell left a release behind that the next can begin with."""
    if not production.healthy(sandbox):
        return False
    found = facts(sandbox)
    record = json.loads(found.record or "{}")
    return not found.status and bool(record.get("complete")) and record["revision"] == found.head


@contextmanager
def laptop(sandbox: Sandbox, cell: Cell, fault: Fault) -> Iterator[subprocess.Popen[str]]:
    """Start the update, as somebody at a laptop does; it is gone when the cell has ended."""
    words = [sandbox.name, given(sandbox)[1], cell.point, fault.moment, *(["fail"] if fault.fail else [])]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.laptop", *words],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def given(sandbox: Sandbox) -> tuple[str, str]:
    """The words that give a verb the settings of the matrix."""
    settings = sandbox.root / "faults.yaml"
    settings.write_text(SETTINGS + (FRONTEND if sandbox.shape == TODAY else ""), encoding="utf-8")
    return "-f", str(settings)


def wait_until(true: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain"
        time.sleep(0.05)


def journal(folder: Path) -> str:
    file = folder / "journal"
    return file.read_text(encoding="utf-8", errors="replace") if file.exists() else ""
