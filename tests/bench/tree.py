"""The case of one changed file in a large tree: the bytes that it costs, and the time in trees of two sizes."""

from tests.bench import moved, releases, sides
from tests.bench.figures import Measured, Row, against
from tests.bench.sides import Bench

# The files of the sandbox's repository have 20 MB, those that make it larger next to nothing.
FEW_FILES, MANY_FILES = 1_200, 50_000
# What one changed file may cost in the container: twice its size, and this.
BYTES_BESIDE = 65_536


def tree(bench: Bench) -> Measured:
    """Change one file in a tree of each size; the bytes are counted in an update of their own."""
    sandbox = bench.sandbox
    releases.grow(sandbox, FEW_FILES)
    sides.update(sandbox)
    releases.change_one_file(sandbox)
    row, remark = _bytes(moved.carry_out(sandbox))
    few = _times(bench, FEW_FILES)
    releases.grow(sandbox, MANY_FILES)
    bench.say(f"tree: all of {MANY_FILES} files: {sides.update(sandbox):.1f} s")
    many = _times(bench, MANY_FILES)
    return Measured((against("tree", many, few), row), (remark,))


def _times(bench: Bench, files: int) -> list[float]:
    """Measure updates of one file among that many."""
    times = []
    for _ in range(bench.rounds):
        releases.change_one_file(bench.sandbox)
        times.append(sides.update(bench.sandbox))
        bench.say(f"tree: one of {files} files: {times[-1]:.1f} s")
    return times


def _bytes(steps: dict[str, int]) -> tuple[Row, str]:
    allowed, total = 2 * releases.FILE_BYTES + BYTES_BESIDE, sum(steps.values())
    each = ", ".join(f"{step} {count:,}" for step, count in steps.items() if count)
    told = (
        f"tree-bytes: {total:,} into the container ({each}) for a file of {releases.FILE_BYTES:,}; {allowed:,} allowed"
    )
    return Row("tree-bytes", wall_ratio=total / allowed, runs=1), told
