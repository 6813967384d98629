"""The case of a host that is 100 ms away: how many round trips an update takes, from its start to its exit."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import median

from deploy.sandbox import stack
from deploy.sandbox.home import Sandbox
from tests.bench import sides
from tests.bench.figures import Measured, Row, against
from tests.bench.proxy import delaying
from tests.bench.sides import Bench, settings_file

ROUND_TRIP = 0.1
# Which release each publishes; none: there is nothing to do.
KINDS = {"rtt100": "code", "rtt100-nothing": ""}


def rtt100(bench: Bench) -> Measured:
    """Update through the proxy at 0 and at 100 ms, in turns: the difference is what the round trips cost."""
    walls: dict[tuple[str, float], list[float]] = {(case, rtt): [] for case in KINDS for rtt in (0, ROUND_TRIP)}
    sides.update(bench.sandbox)
    for _ in range(bench.rounds):
        for (case, round_trip), seconds in walls.items():
            seconds.append(_update(bench.sandbox, KINDS[case], round_trip))
            bench.say(f"{case} at {round_trip * 1000:.0f} ms: {seconds[-1]:.2f} s")
    figures = {case: (median(walls[case, 0]), median(walls[case, ROUND_TRIP])) for case in KINDS}
    return Measured(
        tuple(round_trips(case, near, far, bench.rounds) for case, (near, far) in figures.items()),
        tuple(f"{case}: {near:.2f} s at 0 ms, {far:.2f} s at 100 ms" for case, (near, far) in figures.items()),
    )


def round_trips(case: str, near: float, far: float, runs: int) -> Row:
    """Count how many round trips are in what the distance added."""
    return replace(against(case, [far - near], [ROUND_TRIP]), runs=runs)


def _update(sandbox: Sandbox, release: str, round_trip: float) -> float:
    if release:
        stack.release(sandbox.name, release)
    with delaying(sandbox.ssh_port, round_trip) as port, through(sandbox, port) as file:
        return sides.update(sandbox, settings=file)


@contextmanager
def through(sandbox: Sandbox, port: int) -> Iterator[Path]:
    """Give a file for inv -f by which the sandbox's host is reached at another port, and its key known there."""
    with tempfile.TemporaryDirectory() as folder:
        known = Path(folder) / "known_hosts"
        text = sandbox.known_hosts.read_text(encoding="utf-8")
        known.write_text(text.replace(f":{sandbox.ssh_port} ", f":{port} "), encoding="utf-8")
        target = {"host": f"{sandbox.user}@127.0.0.1:{port}", "ssh": {"known_hosts": str(known)}}
        with settings_file({"targets": {sandbox.name: target}}) as file:
            yield file
