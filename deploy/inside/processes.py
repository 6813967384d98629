"""The processes in the container, as /proc shows them."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from typing import Any

from deploy.inside.message import message


def processes(server: bytes) -> list[dict[str, Any]]:
    """List the app server's processes; `started` is in seconds since the host booted."""
    found = []
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as stream:
                argv = stream.read().split(b"\0")
            with open(f"/proc/{pid}/stat", "rb") as stream:
                after_name = stream.read().rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if serves(argv, server):
            started = int(after_name[19]) / os.sysconf("SC_CLK_TCK")
            found.append({"pid": pid, "ppid": int(after_name[1]), "started": started})
    return found


def own_bytes(pid: int) -> int:
    """Tell how much memory a process has that is no file's; 0 where it has ended."""
    with contextlib.suppress(OSError), open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as stream:
        return next((int(line.split()[1]) * 1024 for line in stream if line.startswith("RssAnon:")), 0)
    return 0


def serves(argv: list[bytes], server: bytes) -> bool:
    """Tell a server by its own name, or by the script's that an interpreter runs (a pager on its log is none)."""
    # Gunicorn may rename itself, "gunicorn: master [wsgi:application]", and what follows the name may hold slashes.
    programs = [argv[0], argv[0].split(b" ")[0]]
    if re.search(rb"(python[\d.]*|pypy[\d.]*|sh)\Z", argv[0]):
        programs += argv[1:2]
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
    """List the processes, this one apart, that have the mark in their environment."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit() or int(name) == os.getpid():
            continue
        try:
            with user_of(int(name)), open(f"/proc/{name}/environ", "rb") as stream:
                if mark in stream.read().split(b"\0"):
                    found.append(int(name))
        except OSError:
            continue
    return found


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
