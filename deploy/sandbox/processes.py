"""Processes of this machine, told apart by pid and start time, since pids are used again."""

import os
import signal
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

END_SECONDS = 20.0


@dataclass(frozen=True)
class Process:
    """A process; `started` is in clock ticks since boot."""

    pid: int
    started: int

    @classmethod
    def of(cls, pid: int) -> Self | None:
        """Return the process that has this pid now; None when none has or when it is over."""
        fields = _stat(pid)
        if fields is None or fields[0] in "ZX":
            return None
        return cls(pid, int(fields[19]))

    @property
    def alive(self) -> bool:
        """Tell whether it still runs."""
        return Process.of(self.pid) == self

    def end(self) -> None:
        """Ask it to end, wait, and kill it if it does not."""
        for order in (signal.SIGTERM, signal.SIGKILL):
            if not self.alive:
                return
            with suppress(ProcessLookupError):
                os.kill(self.pid, order)
            deadline = time.monotonic() + END_SECONDS
            while self.alive and time.monotonic() < deadline:
                time.sleep(0.05)


def below(root: Process) -> list[Process]:
    """Return the descendants of a process, parents first."""
    parents = {process: _parent(process.pid) for process in _all()}
    found = [root]
    for ancestor in found:
        found += [process for process, parent in parents.items() if parent == ancestor.pid]
    return found[1:]


def of_host(folder: Path, ssh_port: int) -> list[Process]:
    """Return the processes of a sandbox's host, but not this one or those that it was started by.

    They came in through its sshd, or have no terminal and work in its folder.
    """
    spared = _lineage()
    return [
        process
        for process in _all()
        if process.pid not in spared and (_came_in_by(process.pid, ssh_port) or _works_in(process.pid, folder))
    ]


def _all() -> list[Process]:
    found = (Process.of(int(path.name)) for path in Path("/proc").glob("[0-9]*"))
    return [process for process in found if process]


def _lineage() -> set[int]:
    spared, pid = set[int](), os.getpid()
    while pid and pid not in spared:
        spared.add(pid)
        pid = _parent(pid)
    return spared


def _parent(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def _stat(pid: int) -> list[str] | None:
    """Return the fields of /proc/PID/stat from the third, the state, on."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None


def _came_in_by(pid: int, ssh_port: int) -> bool:
    """Tell whether a process descends from an SSH session at this port, detached or not."""
    try:
        environment = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False
    return any(entry.startswith(b"SSH_CONNECTION=") and entry.endswith(b" %d" % ssh_port) for entry in environment)


def _works_in(pid: int, folder: Path) -> bool:
    """Tell whether a process without a terminal has its working directory or an open file in the folder."""
    fields = _stat(pid)
    if fields is None or int(fields[4]):
        return False
    try:
        links = [Path(f"/proc/{pid}/cwd"), *Path(f"/proc/{pid}/fd").iterdir()]
        return any(link.readlink().is_relative_to(folder) for link in links)
    except OSError:
        return False
