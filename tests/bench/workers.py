"""The case of several workers: how long a rolling restart takes with 2, 4 and 8 of them, against one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from statistics import median

from deploy.sandbox import stack
from deploy.sandbox.home import Sandbox
from tests.bench import sides
from tests.bench.figures import Measured, Row, Sample, against
from tests.bench.sides import Bench

# Where an import waits, and where it computes and so has the processors to share: how many workers.
WAITING, COMPUTING = (1, 2, 4, 8), (1, 4)
SLOW = 20


def workers(bench: Bench) -> Measured:
    """Measure updates of code with each number of workers, alone and in this order."""
    rows: list[Row] = []
    for name, counts, busy in (("workers", WAITING, False), ("workers-computing", COMPUTING, True)):
        walls: dict[int, list[float]] = {}
        for count in counts:
            with production(bench.sandbox, count, busy=busy):
                samples = [_sample(bench, name, count) for _ in range(bench.rounds)]
            walls[count] = [_restart(sample) for sample in samples]
            row = against(f"{name}-{count}", walls[count], walls[counts[0]])
            rows.append(
                replace(
                    row,
                    failed_requests=sum(sample.failed for sample in samples),
                    longest_gap_s=median(sample.gap for sample in samples),
                    slowest_request_s=max(sample.slowest for sample in samples),
                )
            )
    return Measured(tuple(rows))


def _sample(bench: Bench, name: str, count: int) -> Sample:
    stack.release(bench.sandbox.name, "code")
    sample = sides.measure(bench.sandbox, f"{name}-{count}", "ours", SLOW)
    bench.say(f"{name}-{count}: restart {_restart(sample):.1f} s, {sample.failed} failed")
    return sample


def _restart(sample: Sample) -> float:
    return next(span.end - span.begin for span in sample.steps if span.name == "restart")


@contextmanager
def production(sandbox: Sandbox, count: int, *, busy: bool) -> Iterator[None]:
    """Recreate the app's container with that many workers, and bring it up to date; afterwards as it was."""
    wanted = {"GUNICORN_WORKERS": str(count), "IMPORT_BUSY": str(busy).lower()}
    try:
        os.environ.update(wanted)
        _recreate(sandbox)
        yield
    finally:
        for name in wanted:
            os.environ.pop(name)
        _recreate(sandbox)


def _recreate(sandbox: Sandbox) -> None:
    stack.break_(sandbox.name, "recreated")
    sides.update(sandbox)
