"""The programs in the container that run the code: app servers, each a master with its workers, and whatever else.

A process runs the code where its interpreter is a Python and it works in the app's folder or names it on its command
line. The topmost such process is the program; who came in from outside, an operator's shell or ourselves, is none.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
from typing import Any, NamedTuple

from deploy.inside.processes import Process, all_processes, environment_of, is_served_by, user_of
from deploy.inside.wire import text

_PYTHON = re.compile(r"(python[\d.]*|pypy[\d.]*|uwsgi.*)( \(deleted\))?\Z")
# What starts programs, and is none of them.
SUPERVISOR = b"supervisord"
# In the environment of what a run of ours started.
MARK = b"HOT_UPDATE_RUN"
# Letters of a command line that name a program.
LONGEST = 60


class Program(NamedTuple):
    """A program by its topmost process; `supervised` is its name where Supervisor started it, else nothing."""

    id: str
    name: str
    supervised: str
    server: bool
    process: Process
    # All its processes.
    pids: tuple[int, ...]


def programs(settings: dict[str, Any]) -> list[Program]:
    """List them, the app servers first."""
    found = all_processes()
    server = settings["server"].encode()
    serving = {pid for pid, process in found.items() if is_served_by(process.argv, server)}
    running = serving | {pid for pid, process in found.items() if runs_code(process, found, settings["app"])}
    tops = [found[pid] for pid in sorted(running) if not ancestors(found[pid], found) & running]
    named = [program_of(process, found, process.pid in serving) for process in tops]
    return sorted(named, key=lambda program: (not program.server, program.process.started))


def program_of(process: Process, found: dict[int, Process], server: bool) -> Program:
    supervised = supervised_name(process, found)
    program, *words = process.argv
    if _PYTHON.match(os.path.basename(text(program))) and words and not words[0].startswith(b"-"):
        program, *words = words
    command = b" ".join([os.path.basename(program), *words]).decode("utf-8", "backslashreplace")
    named = supervised or command
    below = [other.pid for other in found.values() if process.pid in ancestors(other, found)]
    name = named if len(named) <= LONGEST else f"{named[: LONGEST - 1]}…"
    known = hashlib.sha256(named.encode("utf-8", "surrogateescape")).hexdigest()[:12]
    return Program(known, name, supervised, server, process, (process.pid, *sorted(below)))


def surroundings(pid: int) -> dict[bytes, bytes]:
    """Tell what a process was started with, for what we start in its place: without our mark."""
    return {name: value for name, value in environment_of(pid).items() if name != MARK}


def ancestors(process: Process, found: dict[int, Process]) -> set[int]:
    line = set[int]()
    while process.ppid in found and process.ppid not in line:
        process = found[process.ppid]
        line.add(process.pid)
    return line


def runs_code(process: Process, found: dict[int, Process], app: str) -> bool:
    line = ancestors(process, found)
    outside = process.pid != 1 and 1 not in line
    if outside or os.getpid() in line | {process.pid} or MARK in environment_of(process.pid):
        return False
    if any(os.path.basename(word) == SUPERVISOR for word in process.argv[:2]):
        return False
    folder = os.fsencode(app)
    with contextlib.suppress(OSError), user_of(process.pid):
        if not _PYTHON.match(os.path.basename(os.readlink(f"/proc/{process.pid}/exe"))):
            return False
        cwd = os.fsencode(os.readlink(f"/proc/{process.pid}/cwd"))
        return any(path == folder or path.startswith(folder + b"/") for path in (cwd, *process.argv))
    return False


def supervised_name(process: Process, found: dict[int, Process]) -> str:
    """Name it as Supervisor does, which tells each program that it starts; nothing where that is not there."""
    if not supervisor_of(process, found):
        return ""
    told = environment_of(process.pid)
    keys = (b"SUPERVISOR_PROCESS_NAME", b"SUPERVISOR_GROUP_NAME")
    name, group = (told.get(key, b"").decode("utf-8", "replace") for key in keys)
    return name if group in ("", name) else f"{group}:{name}"


def supervisor_of(process: Process, found: dict[int, Process]) -> Process | None:
    """Find the Supervisor that a program descends from."""
    for pid in sorted(ancestors(process, found), reverse=True):
        if any(os.path.basename(word) == SUPERVISOR for word in found[pid].argv[:2]):
            return found[pid]
    return None
