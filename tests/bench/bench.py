"""Measure the hot update beside a plain shell script of the runbook's steps, on a sandbox.

Both sides run in turns in one go on one machine, so their ratio says more than their seconds. The JSON file is a list
with an object per row, its keys are the fields of figures.Row. Where the script has no part in a row, `script_s` is
what `ours_s` is held against, and `wall_ratio` is their quotient all the same:

- rtt100, rtt100-nothing: the seconds that 100 ms of round trip add to an update with code, and to one with nothing to
  do, against one round trip: the ratio is a number of round trips
- hosts-N-read, hosts-N-update: the status and an update of N hosts against those of one
- doors-N-near, doors-N-far: the history of N hosts against that of one, without distance and with 100 ms of round trip
- start-up: inv --list or inv --help hot-update, the slower of both, against inv --list on an empty tasks file
- start-up-memory: no seconds; the peak memory of a hot update against that of connecting with Fabric
- workers-N, workers-computing-N: a rolling restart with N workers against one with one, where an import waits and where
  it computes
- tree: an update of one changed file among 50,000 files against one among 1,200
- tree-bytes: no seconds; the bytes moved into the container for one changed file against twice its size and 64 KiB
"""

import json
import os
import platform
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from rich.console import Console
from rich.table import Table

from deploy.errors import Exit, Failure
from deploy.message import say
from deploy.sandbox import stack
from deploy.sandbox.home import Sandbox
from deploy.wording import text
from tests.bench.cases import CASES, chosen
from tests.bench.figures import Row, Sample
from tests.bench.plot import plot
from tests.bench.sides import SIDES, Bench
from tests.bench.table import latency_table, rows_table

IMPORT_SECONDS = 3.5
# The least that the tables need, in columns.
WIDTH = 132
# What is drawn: the first of these that was measured.
DRAWN = ("code", "migration", "container", "nothing")


def bench(
    name: str, shape: str, cases: str, rounds: int, quick: bool, json_file: Path | None, plot_file: Path | None
) -> None:
    """Measure the cases, print what came of them, and write it to the files."""
    if rounds < 1:
        raise Failure(say("bench: %s rounds measure nothing", rounds), code=Exit.USAGE)
    names, facts = chosen(cases, quick=quick), machine()
    console = Console(stderr=True, highlight=False)
    rows: list[Row] = []
    samples: list[Sample] = []
    remarks: list[str] = []
    with production(name, shape, console) as sandbox:
        measuring = Bench(sandbox, 1 if quick else rounds, quick, console.print)
        for case in names:
            measured = CASES[case](measuring)
            rows += measured.rows
            samples += measured.samples
            remarks += measured.remarks
            # An interrupted benchmark keeps the cases that it has measured.
            write(rows, samples, json_file, plot_file)
    show(rows_table(rows), *((latency_table(samples),) if samples else ()), *remarks, facts)


def show(*parts: Table | str) -> None:
    """Print for people; a table is never squeezed until its figures are gone."""
    console = Console(highlight=False, markup=False)
    console.width = max(console.width, WIDTH)
    for part in parts:
        console.print(part, soft_wrap=True)


def machine() -> str:
    """Say what the figures are taken on, and when; a load beforehand is somebody else's, and spoils them."""
    now, cores = datetime.now(UTC), len(os.sched_getaffinity(0))
    return f"{now:%Y-%m-%d %H:%M} UTC, {cores} cores, kernel {platform.release()}, load before {os.getloadavg()[0]:.1f}"


@contextmanager
def production(name: str, shape: str, console: Console) -> Iterator[Sandbox]:
    """Give the sandbox of this name; without a name one of our own, gone afterwards."""
    if name:
        yield stack.load(name)
        return
    # Compose prefers this to what .env says: a worker that recycles by itself would blur the figures.
    os.environ["GUNICORN_MAX_REQUESTS"] = "0"
    own = f"bench-{os.getpid()}"
    try:
        yield stack.up(own, shape=shape, import_seconds=IMPORT_SECONDS, tell=lambda told: console.print(text(told)))
    finally:
        stack.down(own, tell=lambda told: console.print(text(told)))
        stack.tidy(lambda told: console.print(text(told)))


def write(rows: Iterable[Row], samples: Sequence[Sample], json_file: Path | None, plot_file: Path | None) -> None:
    """Write the files that were asked for; nothing is drawn before both sides were measured."""
    if json_file:
        json_file.write_text(json.dumps([asdict(row) for row in rows], indent=2) + "\n", encoding="utf-8")
    if plot_file and samples:
        plot_file.write_text(plot(drawn(samples)), encoding="utf-8")


def drawn(samples: Sequence[Sample]) -> tuple[Sample, ...]:
    """Choose what is drawn: of one case, at the lowest rate, the first sample of each side."""
    case = next(case for case in DRAWN if any(sample.case == case for sample in samples))
    mine = sorted((sample for sample in samples if sample.case == case), key=lambda sample: sample.rate)
    return tuple(next(sample for sample in mine if sample.side == side) for side in SIDES)
