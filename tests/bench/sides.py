"""The two sides: the hot update from the laptop over SSH, and a shell script of the runbook on the host itself."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import get_args

import yaml

from deploy import shell
from deploy.errors import Failure
from deploy.message import say
from deploy.sandbox.command import tail
from deploy.sandbox.git import git
from deploy.sandbox.home import Sandbox
from deploy.sandbox.shape import BASIC_HEALTH
from tests.bench.client import asking
from tests.bench.figures import Sample, Side, Span

ROOT = Path(__file__).resolve().parents[2]
SIDES: tuple[Side, ...] = get_args(Side)
SCRIPT = Path(__file__).with_name("script.sh")
DIRECT_HEALTH = "/api/v1/health"
# How long, in seconds, production is asked before an update, and after it.
BEFORE, AFTER = 2.0, 0.5


@dataclass(frozen=True)
class Bench:
    """A production to measure on, and how often; `quick` leaves out the high rate."""

    sandbox: Sandbox
    rounds: int
    quick: bool
    say: Callable[[str], None]
    # Turn and turn about, so that neither side always comes first.
    turns: Iterator[tuple[Side, ...]] = field(default_factory=lambda: cycle((SIDES, SIDES[::-1])))


@contextmanager
def settings_file(settings: Mapping[str, object]) -> Iterator[Path]:
    """Give a file for inv -f."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "settings.yaml"
        file.write_text(yaml.safe_dump(dict(settings)), encoding="utf-8")
        yield file


def command(sandbox: Sandbox, side: Side, settings: Path | None = None) -> list[str]:
    """Return what an operator starts; `settings` is a file given to inv with -f."""
    if side == "ours":
        given = ["-f", str(settings)] if settings else []
        return [sys.executable, "-m", "invoke", *given, "hot-update", "--target", sandbox.name, "--yes"]
    urls = (
        f"http://127.0.0.1:{sandbox.http_port}{BASIC_HEALTH}",
        f"http://127.0.0.1:{sandbox.app_port}{DIRECT_HEALTH}",
    )
    return ["bash", str(SCRIPT), str(sandbox.path), sandbox.app, sandbox.shape.user, sandbox.database, *urls]


def update(sandbox: Sandbox, side: Side = "ours", settings: Path | None = None) -> float:
    """Update production to origin's head, and return the seconds that it took; Failure when it does not get there."""
    begin = time.monotonic()
    run(command(sandbox, side, settings))
    seconds = time.monotonic() - begin
    if git(sandbox.path, "rev-parse", "HEAD") != git(sandbox.origin, "rev-parse", "main"):
        raise Failure(say("bench: the update by %s did not reach origin's head", side))
    return seconds


def run(words: Sequence[str], *, check: bool = True) -> str:
    """Run a program as an operator does, and return what it printed; Failure when it ends badly and is checked."""
    # An operator's Python keeps what it has compiled.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    ended = subprocess.run(
        words, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if check and ended.returncode:
        evidence = tail(f"{ended.stdout}\n{ended.stderr}")
        raise Failure(say("bench: %s … ended with %s", " ".join(words[:4]), ended.returncode), evidence=evidence)
    return ended.stdout


def measure(sandbox: Sandbox, case: str, side: Side, rate: int, settings: Path | None = None) -> Sample:
    """Update production once while a client asks it: through Nginx, directly, and the scheduler where that is apart."""
    doors: dict[str, int | str] = {"nginx": sandbox.http_port, "direct": sandbox.app_port}
    doors |= {name: f"{sandbox.http_port}{path}" for name, path in sandbox.shape.checks.items()}
    with asking(doors, rate) as requests:
        time.sleep(BEFORE)
        begin = time.time()
        update(sandbox, side, settings)
        end = time.time()
        time.sleep(AFTER)
    steps = last_steps(sandbox, begin) if side == "ours" else ()
    return Sample(case, side, rate, begin, end, tuple(requests), steps)


def last_steps(sandbox: Sandbox, since: float) -> tuple[Span, ...]:
    """Read from its journal which steps the newest run had; none where nothing was to be done since then."""
    journals = sorted((sandbox.path / ".git/hot-update/runs").glob("*/journal"))
    return spans(journals[-1].read_text(encoding="utf-8"), since) if journals else ()


def spans(journal: str, since: float = 0) -> tuple[Span, ...]:
    """Find the steps in a journal that began after a moment, each from its beginning to its end."""
    begun: dict[str, float] = {}
    found = []
    for at, kind, *fields in shell.records(journal):
        if float(at) < since:
            continue
        if kind == "begin":
            begun[fields[0]] = float(at)
        elif kind == "end" and fields[0] in begun:
            found.append(Span(fields[0], begun[fields[0]], float(at)))
    return tuple(found)
