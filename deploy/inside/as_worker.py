"""Run a command as the app server's workers run: with their master's environment, as their user.

Given to the container's Python with -c, as root, after the modules that it imports; standard library only, Python 3.9
or newer. Where no server runs it is the container's environment and the user that is told, and that is said.
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

from deploy.inside.message import message
from deploy.inside.processes import Process, processes, user_of

# Of a master that was started by its predecessor, or by systemd: sockets that are not ours.
NOT_OURS = ("GUNICORN_FD", "GUNICORN_PID", "LISTEN_FDS", "LISTEN_PID")


class User(NamedTuple):
    """Who runs a process."""

    uid: int
    gid: int
    groups: tuple[int, ...]


def choose(found: list[Process]) -> tuple[int, int | None] | None:
    """Choose among the server's processes: a master and a worker of it; of several who has most, then the oldest."""
    pids = {process.pid for process in found}
    masters = [process for process in found if process.ppid not in pids]
    workers = {one.pid: [other.pid for other in found if other.ppid == one.pid] for one in masters}
    best = min(masters, key=lambda one: (-len(workers[one.pid]), one.started, one.pid), default=None)
    return (best.pid, max(workers[best.pid], default=None)) if best else None


def environment_of(master: int) -> dict[bytes, bytes]:
    with user_of(master), open(f"/proc/{master}/environ", "rb") as stream:
        pairs = [entry.split(b"=", 1) for entry in stream.read().split(b"\0") if b"=" in entry]
    return {name: value for name, value in pairs if os.fsdecode(name) not in NOT_OURS}


def user_of_process(pid: int) -> User:
    with open(f"/proc/{pid}/status", encoding="ascii", errors="replace") as stream:
        told = {name: value.split() for name, _, value in (line.partition(":") for line in stream)}
    return User(int(told["Uid"][1]), int(told["Gid"][1]), tuple(map(int, told["Groups"])))


def become(user: User) -> None:
    """Give up being root, unless that is who is to be."""
    if (user.uid, user.gid) == (os.geteuid(), os.getegid()):
        return
    os.setgroups(user.groups)
    os.setgid(user.gid)
    os.setuid(user.uid)


def conditions(server: str) -> tuple[dict[bytes, bytes] | None, User | None]:
    """Tell what the workers run with, as far as it can be read."""
    try:
        chosen = choose(processes(server.encode()))
        if chosen is None:
            return None, None
        master, worker = chosen
        return environment_of(master), None if worker is None else user_of_process(worker)
    except (OSError, LookupError, ValueError):
        return None, None


def main(server: str, forced: str, owner: str, names: str, *command: str) -> None:
    """Run the command. `forced` is the user of the settings, if any, and `owner` then it or else the code's owner.

    The variables that `names` names are ours, and go over the master's.
    """
    environment, user = conditions(server)
    if environment is None:
        told = message(
            "no %s runs whose environment could be read: it is the container's, and the user %s", server, owner
        )
        print(told, file=sys.stderr, flush=True)  # noqa: T201
        environment = dict(os.environb)
    kept = [name for name in os.environb if name.startswith(b"FLASK_") and name not in environment]
    ours = [name for name in map(os.fsencode, names.split(",")) if name in os.environb]
    environment.update((name, os.environb[name]) for name in kept + ours)
    if forced or user is None:
        uid, gid = map(int, owner.split(":"))
        user = User(uid, gid, (gid,))
    try:
        become(user)
        os.execvpe(command[0], list(command), environment)
    except OSError as error:
        sys.exit(message("%s cannot be run as the user %s: %s", command[0], user.uid, error.strerror))
