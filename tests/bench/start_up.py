"""The case of the verbs' own weight: how fast they start, and how much memory an update takes on the laptop."""

import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from deploy.sandbox import stack
from tests.bench import sides
from tests.bench.figures import Measured, Row, against
from tests.bench.sides import Bench

STARTS = 15
EMPTY, OURS = "empty tasks file", ("--list", "--help hot-update")


def start_up(bench: Bench) -> Measured:
    """Start the verbs beside an empty tasks file, and weigh a hot update against a mere connection."""
    times: dict[str, list[float]] = {name: [] for name in (EMPTY, *OURS)}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "tasks.py").touch()
        for _ in range(STARTS):
            for name, seconds in times.items():
                words = ["--search-root", folder, "--list"] if name == EMPTY else name.split()
                begin = time.perf_counter()
                # Invoke tells that there is nothing to list by its exit status.
                sides.run([sys.executable, "-m", "invoke", *words], check=name != EMPTY)
                seconds.append(time.perf_counter() - begin)
    slower = max(OURS, key=lambda name: median(times[name]))
    told = ", ".join(f"{name} {median(seconds):.3f} s" for name, seconds in times.items())
    weighed, remark = _memory(bench)
    return Measured((against("start-up", times[slower], times[EMPTY]), weighed), (f"start-up: {told}", remark))


def _memory(bench: Bench) -> tuple[Row, str]:
    sandbox = bench.sandbox
    stack.release(sandbox.name, "code")
    update = _peak("inv", *sides.command(sandbox, "ours")[3:])
    connection = _peak("fabric", f"{sandbox.user}@127.0.0.1:{sandbox.ssh_port}", str(sandbox.identity))
    remark = (
        f"start-up-memory: peak of a hot update {update / 1024:.1f} MiB, of a connection {connection / 1024:.1f} MiB"
    )
    return Row("start-up-memory", wall_ratio=update / connection, runs=1), remark


def _peak(*words: str) -> int:
    """Run tests.bench.memory, which tells its peak in KiB in its last line."""
    return int(sides.run([sys.executable, "-m", "tests.bench.memory", *words]).splitlines()[-1])
