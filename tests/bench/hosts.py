"""The case of several hosts: what reading and updating them as one takes, against one of them alone.

The hosts of a sandbox share this machine's processors, so that what they do there goes one after the other; what the
laptop does is told by many sshd in front of one host, asked for what costs that little.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median

import yaml

from deploy.sandbox import sshd, stack
from deploy.sandbox.command import run
from deploy.sandbox.engine import find
from deploy.sandbox.home import Sandbox, free_ports
from deploy.sandbox.processes import Process
from tests.bench.figures import Measured, Row, against
from tests.bench.proxy import delaying
from tests.bench.rtt import ROUND_TRIP
from tests.bench.sides import ROOT, Bench, settings_file

# How many hosts are read and updated, and how many are only connected to.
COUNTS, DOORS = (1, 3, 10), (1, 10, 30)
GROUP = "doors"


def hosts(bench: Bench) -> Measured:
    """Measure a sandbox of as many hosts as there are at most, and then more doors to the first of them."""
    name = f"bench-hosts-{os.getpid()}"
    try:
        members = stack.up(name, hosts=COUNTS[-1], import_seconds=0, tell=lambda told: None).members
        own = _side_by_side(bench, members)
        remote = _through_doors(bench, members[0])
    finally:
        stack.down(name, tell=lambda told: None)
    return Measured(own.rows + remote.rows, own.remarks + remote.remarks)


def _side_by_side(bench: Bench, members: Sequence[Sandbox]) -> Measured:
    group = members[0].group
    _inv("hot-update", "--yes", "--target", group)
    times: dict[tuple[str, int], list[float]] = {(what, count): [] for what in ("read", "update") for count in COUNTS}
    for _ in range(bench.rounds):
        for count in COUNTS:
            only = ("--target", group, "--only", ",".join(one.name for one in members[:count]))
            times["read", count].append(_inv("status", *only)[0])
            stack.release(group, "code")
            times["update", count].append(_inv("hot-update", "--yes", *only)[0])
            bench.say(f"{count} hosts: read {times['read', count][-1]:.1f} s, {times['update', count][-1]:.1f} s")
    return Measured(tuple(_rows("hosts", times)))


def _through_doors(bench: Bench, one: Sandbox) -> Measured:
    remarks = list[str]()
    times: dict[tuple[str, int], list[float]] = {}
    own: dict[int, list[tuple[float, int]]] = {count: [] for count in DOORS}
    with ExitStack() as opened:
        ports = opened.enter_context(doors(one, DOORS[-1]))
        far = [opened.enter_context(delaying(port, ROUND_TRIP)) for port in ports]
        for what, reached in (("near", ports), ("far", far)):
            for count in DOORS * bench.rounds:
                with _targets(one, reached[:count]) as file:
                    seconds, busy, peak = _inv("history", "--target", GROUP, settings=file)
                times.setdefault((what, count), []).append(seconds)
                own[count].append((busy, peak))
                bench.say(f"{count} doors, {what}: {seconds:.2f} s, laptop {busy:.2f} s, {peak / 1024:.0f} MiB")
    for count, ones in own.items():
        usual, most = median(one[0] for one in ones), median(one[1] for one in ones) / 1024
        remarks.append(f"the laptop's own, {count} doors: {usual:.2f} s of processor time, {most:.0f} MiB")
    return Measured(tuple(_rows("doors", times)), tuple(remarks))


def _rows(case: str, times: dict[tuple[str, int], list[float]]) -> Iterator[Row]:
    """Set each number of hosts against one."""
    for (what, count), seconds in times.items():
        if count > 1:
            yield against(f"{case}-{count}-{what}", seconds, times[what, 1])


def _inv(*words: str, settings: Path | None = None) -> tuple[float, float, int]:
    """Run a verb: its seconds, those of its own processor time, and its peak memory in KiB."""
    given = ("-f", str(settings)) if settings else ()
    begin, before = time.monotonic(), _processor_time()
    ended = subprocess.run(
        [sys.executable, "-m", "tests.bench.memory", "inv", *given, *words],
        cwd=ROOT,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    return time.monotonic() - begin, _processor_time() - before, int(ended.stdout.splitlines()[-1])


def _processor_time() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@contextmanager
def doors(one: Sandbox, count: int) -> Iterator[list[int]]:
    """Have so many sshd more in front of a sandbox's host; gives their ports."""
    config = (one.ssh / "sshd_config").read_text(encoding="utf-8")
    ports = free_ports(count)
    with tempfile.TemporaryDirectory() as folder:
        pids = [Path(folder) / f"{port}.pid" for port in ports]
        try:
            for port, pid in zip(ports, pids, strict=True):
                file = Path(folder) / f"{port}.config"
                text = config.replace(f"Port {one.ssh_port}\n", f"Port {port}\n")
                file.write_text(text.replace(str(one.ssh / "sshd.pid"), str(pid)), encoding="utf-8")
                run(find("sshd") or "sshd", "-f", file, "-E", Path(folder) / f"{port}.log")
            deadline = time.monotonic() + sshd.START_SECONDS
            while not all(pid.exists() for pid in pids) and time.monotonic() < deadline:
                time.sleep(0.05)
            yield ports
        finally:
            for pid in pids:
                if pid.exists() and (process := Process.of(int(pid.read_text(encoding="ascii")))):
                    process.end()


@contextmanager
def _targets(one: Sandbox, ports: Sequence[int]) -> Iterator[Path]:
    """Give a file for inv -f with a group of targets that are all this host, through these ports."""
    mine = yaml.safe_load((one.root / "target.yaml").read_text(encoding="utf-8"))["targets"][one.name]
    with tempfile.TemporaryDirectory() as folder:
        known = Path(folder) / "known_hosts"
        line = one.known_hosts.read_text(encoding="utf-8")
        known.write_text("".join(line.replace(f":{one.ssh_port} ", f":{port} ") for port in ports), encoding="utf-8")
        targets = {
            f"door-{port}": {
                **mine,
                "host": f"{one.user}@127.0.0.1:{port}",
                "ssh": {**mine["ssh"], "known_hosts": str(known)},
            }
            for port in ports
        }
        group = {GROUP: {"targets": list(targets), "parallel": len(ports)}}
        with settings_file({"targets": targets, "groups": group}) as file:
            yield file
