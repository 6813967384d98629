"""The cases, and those of them that set our update beside the script's."""

from collections.abc import Callable, Mapping
from pathlib import Path

from deploy.errors import Exit, Failure
from deploy.message import say
from deploy.sandbox import stack
from tests.bench import sides
from tests.bench.figures import Measured, compared
from tests.bench.floor import floor
from tests.bench.hosts import hosts
from tests.bench.rtt import rtt100
from tests.bench.sides import Bench, settings_file
from tests.bench.start_up import start_up
from tests.bench.tree import tree
from tests.bench.workers import workers

# Requests a second, through Nginx and directly in turns.
SLOW, FAST = 20, 200


def compare(
    bench: Bench, case: str, release: str, settings: Path | None = None, rates: tuple[int, ...] = ()
) -> Measured:
    """Measure both sides in turns, each with a new release of that kind; none: with nothing to update."""
    samples = []
    for rate in (SLOW, *(() if bench.quick else rates)) * bench.rounds:
        for side in next(bench.turns):
            if side == "ours":
                # Not measured: it takes up what the script left without a record.
                sides.update(bench.sandbox)
            if release:
                stack.release(bench.sandbox.name, release)
            sample = sides.measure(bench.sandbox, case, side, rate, settings if side == "ours" else None)
            samples.append(sample)
            bench.say(f"{case} at {rate}/s: {side} {sample.wall:.1f} s, {sample.failed} failed")
    row = compared(samples)
    return Measured((row.above(floor(bench.sandbox, bench.rounds)) if release else row,), samples=tuple(samples))


def nothing(bench: Bench) -> Measured:
    return compare(bench, "nothing", "")


def code(bench: Bench) -> Measured:
    return compare(bench, "code", "code", rates=(FAST,))


def migration(bench: Bench) -> Measured:
    return compare(bench, "migration", "migration")


def container(bench: Bench) -> Measured:
    """An update of code with the container's restart chosen."""
    with settings_file({"restart": {"strategy": "container"}}) as file:
        return compare(bench, "container", "code", file)


CASES: Mapping[str, Callable[[Bench], Measured]] = {
    "nothing": nothing,
    "code": code,
    "migration": migration,
    "container": container,
    "workers": workers,
    "rtt100": rtt100,
    "start-up": start_up,
    "hosts": hosts,
    # The last one: it leaves a production of 50,000 files.
    "tree": tree,
}
QUICK = tuple(CASES)[:4]


def chosen(names: str, *, quick: bool) -> tuple[str, ...]:
    """Return the cases of a comma-separated list, in the order of CASES; of none, all of them."""
    wanted = names.split(",") if names else QUICK if quick else CASES
    unknown = [name for name in wanted if name not in CASES]
    if unknown:
        fact = say("bench: there is no case %s", repr(unknown[0]))
        raise Failure(fact, remedy=say("one of: %s", tuple(CASES)), code=Exit.USAGE)
    return tuple(name for name in CASES if name in wanted)
