"""The processes in the container, as /proc shows them."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import NamedTuple

from deploy.inside.message import message


class Process(NamedTuple):
    """A process; `started` is in seconds since the host booted."""

    pid: int
    ppid: int
    started: float
    argv: list[bytes]


def all_processes() -> dict[int, Process]:
    """List every process by its id; the kernel's own have no command line and are left out."""
    found = {}
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as stream:
                argv = stream.read().rstrip(b"\0").split(b"\0")
            with open(f"/proc/{pid}/stat", "rb") as stream:
                after_name = stream.read().rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if argv[0]:
            started = int(after_name[19]) / os.sysconf("SC_CLK_TCK")
            found[pid] = Process(pid, int(after_name[1]), started, argv)
    return found


def processes(server: bytes) -> list[Process]:
    """List the app server's processes."""
    return [process for process in all_processes().values() if is_served_by(process.argv, server)]


def environment_of(pid: int) -> dict[bytes, bytes]:
    """Tell what a process was started with; nothing where it has ended."""
    with contextlib.suppress(OSError), user_of(pid), open(f"/proc/{pid}/environ", "rb") as stream:
        return dict(entry.split(b"=", 1) for entry in stream.read().split(b"\0") if b"=" in entry)
    return {}


def processor_seconds(pid: int) -> tuple[float, float]:
    """Tell for how long a process has computed, and waited to; nothing where it has ended or nobody keeps account."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/schedstat", encoding="ascii") as stream:
        computed, queued, _ = map(int, stream.read().split())
        return computed / 1e9, queued / 1e9
    return 0.0, 0.0


def switches(pid: int) -> int:
    """Count how often a process went to sleep; it has to be there."""
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as stream:
        return next(int(line.split()[1]) for line in stream if line.startswith("voluntary_ctxt_switches:"))


def free_memory() -> int:
    """Tell how much memory the machine has left, in MiB."""
    with open("/proc/meminfo", encoding="ascii") as stream:
        return next(int(line.split()[1]) // 1024 for line in stream if line.startswith("MemAvailable:"))


def own_bytes(pid: int) -> int:
    """Tell how much memory a process has that is no file's; 0 where it has ended."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as stream:
        return next((int(line.split()[1]) * 1024 for line in stream if line.startswith("RssAnon:")), 0)
    return 0


def shared_bytes(pid: int) -> int:
    """Tell how much memory a process takes, of what it shares its part; 0 where it has ended."""
    for file, name in (("smaps_rollup", "Pss:"), ("status", "VmRSS:")):
        with (
            contextlib.suppress(OSError),
            user_of(pid),
            open(f"/proc/{pid}/{file}", encoding="ascii", errors="replace") as stream,
        ):
            return next((int(line.split()[1]) * 1024 for line in stream if line.startswith(name)), 0)
    return 0


def is_served_by(argv: list[bytes], server: bytes) -> bool:
    """Tell a server by its own name, or by the script's that an interpreter runs (a pager on its log is none)."""
    # Gunicorn may rename itself, "gunicorn: master [wsgi:application]", and what follows the name may hold slashes.
    programs = [argv[0], argv[0].split(b" ")[0]]
    if re.search(rb"(python[\d.]*|pypy[\d.]*|sh)\Z", argv[0]):
        # Or the module that it runs.
        programs += argv[2:3] if argv[1:2] == [b"-m"] else argv[1:2]
    return any(os.path.basename(program).startswith(server) for program in programs)


def commands(words: list[str]) -> list[str]:
    """List the running commands that have these words one after the other, by their last path component."""
    found = []
    for name in os.listdir("/proc"):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as stream:
                argv = stream.read().decode("utf-8", "replace").rstrip("\0").split("\0")
        except OSError:
            continue
        tails = [os.path.basename(word) for word in argv]
        wanted = [os.path.basename(word) for word in words]
        if any(tails[at : at + len(wanted)] == wanted for at in range(len(tails))) and tails[0] != "timeout":
            found.append(message("%s (process %s)", " ".join(argv[-3:]), name))
    return found


def marked(mark: bytes) -> list[int]:
    """List the processes, this one apart, with the mark in their environment or among the words of their command."""
    others = (int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid())
    return [pid for pid in others if mark in (*_words(pid, "cmdline"), *_words(pid, "environ"))]


def _words(pid: int, name: str) -> list[bytes]:
    try:
        with user_of(pid), open(f"/proc/{pid}/{name}", "rb") as stream:
            return stream.read().split(b"\0")
    except OSError:
        return []


@contextlib.contextmanager
def user_of(pid: int) -> Iterator[None]:
    """Act as a process's user: root in a container may not look into what others have open."""
    status = os.stat(f"/proc/{pid}")
    os.setegid(status.st_gid)
    os.seteuid(status.st_uid)
    try:
        yield
    finally:
        os.seteuid(os.getuid())
        os.setegid(os.getgid())
