"""The app server as /proc shows it: its master and workers, who answers a connection, who holds a file's lock."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from deploy.inside.message import ExpectedError
from deploy.inside.processes import processes, user_of

LISTENING = "0A"
# Seconds between two looks.
PAUSE = 0.01
# How many connections are opened at once to meet a certain worker.
KNOCKS = 8
# How often that is tried, and how many requests keep those busy who took the last ones, with the seconds to begin them.
ROUNDS, REQUESTS, HEAD_START = 4, 4, 0.001


class Master(NamedTuple):
    """Gunicorn's arbiter; `started` is in seconds since the host booted."""

    pid: int
    started: float


class Address(NamedTuple):
    """Where a server listens: how to connect to it, the port as the kernel's tables tell it, the socket's inode."""

    family: socket.AddressFamily
    host: str
    port: int
    inode: str


def find_master(server: bytes) -> Master:
    """Find the one process of the server whose parent is none of them."""
    found = processes(server)
    pids = {process["pid"] for process in found}
    masters = [process for process in found if process["ppid"] not in pids]
    if len(masters) != 1:
        raise ExpectedError("%s masters of %s run, not one", len(masters), server.decode())
    return Master(masters[0]["pid"], masters[0]["started"])


def workers(master: Master, server: bytes) -> set[int]:
    """List the workers' process ids. A master that is gone, or whose id is another's meanwhile, has none."""
    found = {process["pid"]: process for process in processes(server)}
    if master.pid not in found or found[master.pid]["started"] != master.started:
        raise ExpectedError("the master, process %s, has ended", master.pid)
    return {pid for pid, process in found.items() if process["ppid"] == master.pid}


def sockets(pid: int) -> set[str]:
    """List the inodes of the sockets that a process has open."""
    found = set()
    with contextlib.suppress(FileNotFoundError, ProcessLookupError):
        for name in os.listdir(f"/proc/{pid}/fd"):
            with contextlib.suppress(FileNotFoundError):
                kind, _, inode = os.readlink(f"/proc/{pid}/fd/{name}").partition(":")
                if kind == "socket":
                    found.add(inode.strip("[]"))
    return found


def listening(master: Master) -> Address:
    """Find the first TCP port that a master listens on, as one connects to it from here."""
    own = sockets(master.pid)
    for local, _, state, inode in connections():
        if state == LISTENING and inode in own:
            host, _, port = local.rpartition(":")
            family = socket.AF_INET if len(host) == 8 else socket.AF_INET6
            return Address(family, reachable(host), int(port, 16), inode)
    raise ExpectedError("the app server listens on no TCP port")


def reachable(host: str) -> str:
    """Turn an address of the kernel's tables into one to connect to: loopback where it is the wildcard."""
    if not host.strip("0"):
        return "127.0.0.1" if len(host) == 8 else "::1"
    words = [bytes.fromhex(host[at : at + 8])[::-1] for at in range(0, len(host), 8)]
    return socket.inet_ntop(socket.AF_INET if len(words) == 1 else socket.AF_INET6, b"".join(words))


def connections() -> Iterator[tuple[str, str, str, str]]:
    """Tell every TCP socket: local and remote address, state, inode (0 until somebody has accepted it)."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(FileNotFoundError), open(table, encoding="ascii") as stream:
            next(stream)
            for line in stream:
                words = line.split()
                yield words[1], words[2], words[3], words[9]


def polls(pid: int, address: Address) -> bool:
    """Tell whether a process is told by epoll who wants to connect: so do workers of most kinds, once they serve."""
    watched = set()
    # Files are closed meanwhile, and of a process that has ended nothing may be read.
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fdinfo"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/fdinfo/{name}", encoding="ascii") as stream:
                watched |= {line.split()[1] for line in stream if line.startswith("tfd:")}
    for number in watched:
        with contextlib.suppress(OSError):
            if os.readlink(f"/proc/{pid}/fd/{number}") == f"socket:[{address.inode}]":
                return True
    return False


def ask(address: Address, wanted: Iterable[int], paths: list[str], patience: float, *, crowd: bool) -> int | None:
    """Connect; where one of the wanted processes takes the connection, have it answer.

    Returns the status, of the first path that is not 404; None where another process took it. `crowd`: the others take
    whatever they can get, the warm ones the most, so they are asked too, to be busy for a moment.
    """
    status = None
    for path in paths:
        status = ask_path(address, wanted, path, patience, crowd)
        if status != 404:
            break
    return status


def ask_path(address: Address, wanted: Iterable[int], path: str, patience: float, crowd: bool) -> int | None:
    request = f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode("ascii")
    with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
        taken, others = None, list[socket.socket]()
        for _ in range(ROUNDS if crowd else 1):
            for connection in others[:REQUESTS]:
                connection.sendall(request)
            if others:
                time.sleep(HEAD_START)
            taken, others = knock(address, wanted, patience, stack, keep=crowd)
            if taken:
                break
        else:
            return None
        taken.sendall(request)
        with taken.makefile("rb") as answer:
            words = answer.readline().split()
            return int(words[1]) if len(words) > 1 and words[1].isdigit() else None
    return None


def knock(
    address: Address, wanted: Iterable[int], patience: float, stack: contextlib.ExitStack, *, keep: bool
) -> tuple[socket.socket | None, list[socket.socket]]:
    """Connect several times at once: the connection that a wanted process accepts, if any, and those that others do.

    A worker that serves one connection after the other would wait for a request on it: where not kept, it is closed.
    """
    knocks = [stack.enter_context(socket.socket(address.family)) for _ in range(KNOCKS)]
    for connection in knocks:
        connection.settimeout(patience)
        connection.connect((address.host, address.port))
    deadline = time.monotonic() + patience
    waiting = {f":{connection.getsockname()[1]:04X}": connection for connection in knocks}
    others = list[socket.socket]()
    while waiting and time.monotonic() < deadline:
        for local, remote, _, inode in connections():
            if inode == "0" or remote[-5:] not in waiting or not local.endswith(f":{address.port:04X}"):
                continue
            connection = waiting.pop(remote[-5:])
            if any(inode in sockets(pid) for pid in wanted):
                return connection, others
            others.append(connection)
            if not keep:
                connection.close()
        time.sleep(PAUSE)
    return None, others


def holders(file: bytes) -> set[int]:
    """List the processes that hold a lock on a file, as far as they are seen here."""
    try:
        inode = str(os.stat(file).st_ino)
    except FileNotFoundError:
        return set()
    found = set()
    with open("/proc/locks", encoding="ascii") as stream:
        for line in stream:
            words = line.split()
            # A second line of a lock tells who waits for it.
            if words[1] != "->" and words[5].rpartition(":")[2] == inode:
                found.add(int(words[4]))
    return found


def settings_of(master: Master, server: bytes) -> dict[str, Any]:
    """Have the server read its own settings once more, without the app: `preload`, `workers`, its config file."""
    import json
    import subprocess

    with user_of(master.pid):
        with open(f"/proc/{master.pid}/cmdline", "rb") as stream:
            argv = stream.read().rstrip(b"\0").split(b"\0")
        with open(f"/proc/{master.pid}/environ", "rb") as stream:
            environment = dict(entry.split(b"=", 1) for entry in stream.read().split(b"\0") if b"=" in entry)
        folder = os.readlink(f"/proc/{master.pid}/cwd")
    program = next((at for at, word in enumerate(argv[:2]) if os.path.basename(word) == server), None)
    if program is None:
        raise ExpectedError("%s hides its command line, so its settings are unknown", server.decode())
    python = argv[0] if program else os.fsencode(os.readlink(f"/proc/{master.pid}/exe"))
    status = os.stat(f"/proc/{master.pid}")
    told = subprocess.run(
        [python, "-c", TELL, *argv[program:]],
        cwd=folder,
        env=environment,
        user=status.st_uid,
        group=status.st_gid,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=False,
    )
    if told.returncode:
        raise ExpectedError("the settings of %s cannot be read", server.decode())
    found: dict[str, Any] = json.loads(told.stdout.splitlines()[-1])
    return {**found, "config": found["config"] and os.path.join(folder, found["config"])}


# Run by the master's own interpreter, with its command line.
TELL = """
import json, sys
sys.argv = sys.argv[1:]
from gunicorn.app.wsgiapp import WSGIApplication
settings = WSGIApplication().cfg
print(json.dumps({"preload": settings.preload_app, "workers": settings.workers, "config": settings.config}))
"""
