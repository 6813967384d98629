"""Measure the hot update beside a plain shell script of the runbook's steps, on a sandbox.

Both sides run in turns in one go on one machine, so their ratio says more than their seconds. Each sample starts from
production as the last hot update left it; the client that asks meanwhile does not wait for its earlier requests.
"""

import json
import os
import platform
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from http.client import HTTPException
from itertools import pairwise
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

from deploy.errors import Failure
from deploy.sandbox import compose, stack
from deploy.sandbox.command import tail
from deploy.sandbox.git import git
from deploy.sandbox.home import Sandbox

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = Path(__file__).with_name("script.sh")
DIRECT_HEALTH = "/api/v1/health"
# What each case publishes first; the last publishes nothing.
CASES = {"code": "code", "migration": "migration", "nothing": ""}
SIDES = ("ours", "script")
FIGURES = ("wall", "failed", "gap")
REQUESTS_PER_SECOND = 20
SCHEMA = 1


@dataclass(frozen=True)
class Sample:
    """One measured update: its wall time, and the requests of a client meanwhile that did not answer 200.

    `gap` is the longest time without a good answer; it and `wall` are in seconds.
    """

    case: str
    side: str
    wall: float
    requests: int
    failed: int
    gap: float


@dataclass(frozen=True)
class Row:
    """A case's medians of both sides, in SIDES' order."""

    case: str
    wall: tuple[float, ...]
    failed: tuple[float, ...]
    gap: tuple[float, ...]

    @property
    def ratio(self) -> float:
        """How long the hot update takes, in times of the script's duration."""
        return self.wall[0] / self.wall[1]


def summarize(samples: Iterable[Sample]) -> tuple[Row, ...]:
    """Take each case's medians."""
    taken = tuple(samples)

    def medians(case: str, figure: str) -> tuple[float, ...]:
        return tuple(median(getattr(s, figure) for s in taken if (s.case, s.side) == (case, side)) for side in SIDES)

    cases = dict.fromkeys(sample.case for sample in taken)
    return tuple(Row(case, **{figure: medians(case, figure) for figure in FIGURES}) for case in cases)


def longest_gap(begin: float, good: Iterable[float], end: float) -> float:
    """Find the longest time without a good answer between two moments."""
    moments = [begin, *sorted(at for at in good if begin < at < end), end]
    return max(later - sooner for sooner, later in pairwise(moments))


def table(rows: Iterable[Row]) -> Table:
    """Lay the medians out for people; a pair is ours / the script's."""
    made = Table("case")
    for name in ("ours", "script", "ours/script", "failed requests", "longest gap"):
        made.add_column(name, justify="right", no_wrap=True)
    for row in rows:
        walls = (f"{value:.1f} s" for value in row.wall)
        failed = " / ".join(f"{value:g}" for value in row.failed)
        made.add_row(
            row.case, *walls, f"{row.ratio:.2f}", failed, " / ".join(f"{value:.2f}" for value in row.gap) + " s"
        )
    return made


def machine() -> dict[str, str | int | float]:
    """Say what the figures are taken on, and when; a load beforehand is somebody else's, and spoils them."""
    now, load = datetime.now(UTC).isoformat(timespec="seconds"), round(os.getloadavg()[0], 1)
    return {"cores": len(os.sched_getaffinity(0)), "kernel": platform.release(), "date": now, "load before": load}


@dataclass
class Client:
    """Asks Nginx at a steady rate from a thread of its own; a request that hangs does not hold up the next."""

    port: int
    requests: int = 0
    failed: int = 0
    good: list[float] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Ask until the block ends, and then wait for the last answers."""
        with ThreadPoolExecutor(max_workers=16 * REQUESTS_PER_SECOND) as pool:
            clock = pool.submit(self._ask_steadily, pool)
            try:
                yield
            finally:
                self._stop.set()
                clock.result()

    def _ask_steadily(self, pool: ThreadPoolExecutor) -> None:
        due = time.monotonic()
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            pool.submit(self._ask)
            due += 1 / REQUESTS_PER_SECOND

    def _ask(self) -> None:
        try:
            status = compose.answer(self.port, compose.BASIC_HEALTH)[0]
        except HTTPException:
            status = 0
        with self._lock:
            self.requests += 1
            self.failed += status != 200
            if status == 200:
                self.good.append(time.monotonic())


def commands(sandbox: Sandbox) -> dict[str, list[str]]:
    """Return what the operator starts on the laptop's side, by side; the script comes over SSH's stdin."""
    urls = (
        f"http://127.0.0.1:{sandbox.http_port}{compose.BASIC_HEALTH}",
        f"http://127.0.0.1:{sandbox.app_port}{DIRECT_HEALTH}",
    )
    ours = [sys.executable, "-m", "invoke", "hot-update", "--target", sandbox.name, "--yes"]
    script = [*stack.ssh_command(sandbox.name), "bash", "-s", "--", str(sandbox.path), sandbox.app, sandbox.postgres]
    return {"ours": ours, "script": [*script, *urls]}


def update(sandbox: Sandbox, side: str) -> None:
    """Update production by one side's command to the end; Failure when it does not reach origin's head."""
    with (SCRIPT if side == "script" else Path(os.devnull)).open("rb") as stdin:
        ended = subprocess.run(
            commands(sandbox)[side], cwd=ROOT, stdin=stdin, capture_output=True, text=True, check=False
        )
    reached, wanted = git(sandbox.path, "rev-parse", "HEAD"), git(sandbox.origin, "rev-parse", "main")
    if ended.returncode or reached != wanted:
        evidence = tail(f"{ended.stdout}\n{ended.stderr}")
        raise Failure(f"bench: the update by {side} ended with {ended.returncode}", evidence=evidence)


def measure(sandbox: Sandbox, case: str, side: str) -> Sample:
    """Take one sample. A hot update before it, not measured, takes up what a script left without a record."""
    update(sandbox, "ours")
    if CASES[case]:
        stack.release(sandbox.name, CASES[case])
    client = Client(sandbox.http_port)
    with client.asking():
        begin = time.monotonic()
        update(sandbox, side)
        end = time.monotonic()
    gap = longest_gap(begin, client.good, end)
    return Sample(case, side, end - begin, client.requests, client.failed, gap)


@contextmanager
def production(name: str, console: Console) -> Iterator[Sandbox]:
    """Give the sandbox of this name; without a name one of our own, gone afterwards."""
    if name:
        yield stack.load(name)
        return
    # Compose prefers this to what .env says: a worker that recycles by itself would blur the figures.
    os.environ["GUNICORN_MAX_REQUESTS"] = "0"
    own = f"bench-{os.getpid()}"
    try:
        yield stack.up(own, import_seconds=3.5, say=console.print)
    finally:
        stack.down(own, say=console.print)
        stack.tidy(console.print)


def write(target: Path, facts: Mapping[str, object], samples: Iterable[Sample]) -> None:
    """Write what was measured so far, so that an interrupted run keeps its samples."""
    told = {"schema": SCHEMA, "measured": facts, "samples": [asdict(sample) for sample in samples]}
    target.write_text(json.dumps(told, indent=2) + "\n", encoding="utf-8")


def bench(name: str, rounds: int, target: Path | None) -> None:
    """Measure every case on both sides that many times, print the medians, and write every sample to a JSON file."""
    if rounds < 1:
        raise Failure(f"bench: {rounds} rounds measure nothing")
    console, samples = Console(stderr=True, highlight=False), []
    facts = {"rounds": rounds} | machine()
    with production(name, console) as sandbox:
        for number in range(rounds):
            for case in CASES:
                # Turn and turn about, so that neither side always comes first.
                for side in SIDES if number % 2 == 0 else SIDES[::-1]:
                    sample = measure(sandbox, case, side)
                    samples.append(sample)
                    console.print(f"round {number + 1}: {case} {side} {sample.wall:.1f} s, {sample.failed} failed")
                    if target:
                        write(target, facts, samples)
    shown = Console(highlight=False, soft_wrap=True)
    shown.print(table(summarize(samples)))
    shown.print("medians: " + ", ".join(f"{key} {value}" for key, value in facts.items()))
