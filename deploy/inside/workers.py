"""An app server as /proc shows it: its workers and settings, who answers a connection, who holds a file's lock."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from deploy.inside.message import ExpectedError
from deploy.inside.processes import Process, environment_of, processes, user_of
from deploy.inside.wire import text

# States of sockets, in the tables of TCP and of Unix sockets.
LISTENING, UNCONNECTED, CONNECTED = "0A", "01", "03"
# Seconds between two looks.
PAUSE = 0.01
# How many connections are opened at once to meet a certain worker.
KNOCKS = 8
# How often that is tried, and how many requests keep those busy who took the last ones, with the seconds to begin them.
ROUNDS, REQUESTS, HEAD_START = 4, 4, 0.001


class Address(NamedTuple):
    """Where a server listens: how to connect to it, the port as the kernel's tables tell it, the socket's inode.

    Of a Unix socket `host` is the path and `port` nothing.
    """

    family: socket.AddressFamily
    host: str
    port: int
    inode: str

    @property
    def name(self) -> str | tuple[str, int]:
        return self.host if self.family == socket.AF_UNIX else (self.host, self.port)


def workers(master: Process, server: bytes) -> set[int]:
    """List the workers' process ids. A master that is gone, or whose id is another's meanwhile, has none."""
    found = {process.pid: process for process in processes(server)}
    if master.pid not in found or found[master.pid].started != master.started:
        raise ExpectedError("the master, process %s, has ended", master.pid)
    return {pid for pid, process in found.items() if process.ppid == master.pid}


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


def listening(master: Process, below: Iterable[int]) -> Address:
    """Find the first port that a master listens on, else its first Unix socket, as one connects to it from here.

    Those `below` it listen there too: on what a newer Gunicorn is controlled by they don't.
    """
    shared = [sockets(pid) for pid in below]
    own = sockets(master.pid) & set[str]().union(*shared) if shared else sockets(master.pid)
    for local, _, state, inode in connections():
        if state == LISTENING and inode in own:
            host, _, port = local.rpartition(":")
            family = socket.AF_INET if len(host) == 8 else socket.AF_INET6
            return Address(family, reachable(host), int(port, 16), inode)
    for path, state, inode in unix_sockets():
        if state == UNCONNECTED and inode in own:
            folder = os.readlink(f"/proc/{master.pid}/cwd")
            place = "\0" + path[1:] if path.startswith("@") else os.path.join(folder, path)
            return Address(socket.AF_UNIX, place, 0, inode)
    raise ExpectedError("the app server listens on no socket")


def unix_sockets() -> Iterator[tuple[str, str, str]]:
    """Tell every Unix socket that has a path: the path, its state, its inode (0 until somebody has accepted it)."""
    with contextlib.suppress(FileNotFoundError), open("/proc/net/unix", "rb") as stream:
        next(stream)
        for line in map(text, stream):
            words = line.rstrip("\n").split(None, 7)
            if len(words) == 8:
                yield words[7], words[5], words[6]


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


def listened(master: Process) -> set[str]:
    """List the inodes of all the sockets that a master listens on."""
    found = {inode for _, _, state, inode in connections() if state == LISTENING}
    return sockets(master.pid) & (found | {inode for _, state, inode in unix_sockets() if state == UNCONNECTED})


def polls(pid: int, inodes: set[str]) -> bool:
    """Tell whether a process is told by epoll who wants to connect: so do workers of most kinds, once they serve."""
    watched = set()
    # Files are closed meanwhile, and of a process that has ended nothing may be read.
    with contextlib.suppress(OSError):
        for name in os.listdir(f"/proc/{pid}/fdinfo"):
            with contextlib.suppress(OSError), open(f"/proc/{pid}/fdinfo/{name}", encoding="ascii") as stream:
                watched |= {line.split()[1] for line in stream if line.startswith("tfd:")}
    for number in watched:
        with contextlib.suppress(OSError):
            kind, _, inode = os.readlink(f"/proc/{pid}/fd/{number}").partition(":")
            if kind == "socket" and inode.strip("[]") in inodes:
                return True
    return False


def ask(
    address: Address, wanted: Iterable[int], paths: list[str], patience: float, *, crowd: bool
) -> tuple[int, int] | None:
    """Connect; where one of the wanted processes takes the connection, have it answer.

    Returns which, and its status, of the first path that is not 404; None where another process took it. `crowd`: the
    others take whatever they can get, the warm ones the most, so they are asked too, to be busy for a moment.
    """
    met = None
    for path in paths:
        request = f"GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n".encode("ascii")
        with contextlib.suppress(OSError), contextlib.ExitStack() as stack:
            by_path = address.family == socket.AF_UNIX
            met = (ask_unix if by_path else ask_tcp)(address, wanted, request, patience, crowd, stack)
        if met is None or met[1] != 404:
            break
    return met


def ask_tcp(
    address: Address, wanted: Iterable[int], request: bytes, patience: float, crowd: bool, stack: contextlib.ExitStack
) -> tuple[int, int] | None:
    taken, others = None, list[socket.socket]()
    for _ in range(ROUNDS if crowd else 1):
        for connection in others[:REQUESTS]:
            connection.sendall(request)
        if others:
            time.sleep(HEAD_START)
        taken, others = knock(address, wanted, patience, stack, keep=crowd)
        if taken:
            pid, connection = taken
            status = answer_of(connection, request)
            return None if status is None else (pid, status)
    return None


def ask_unix(
    address: Address, wanted: Iterable[int], request: bytes, patience: float, crowd: bool, stack: contextlib.ExitStack
) -> tuple[int, int] | None:
    """Ask by a Unix socket. Whose connection a process took does not show there, but that it took one.

    What is told by epoll who wants to connect serves; of the others each waits for a request on one of our connections.
    """
    waiting = [connected(address, patience, stack) for _ in range(1 if crowd else KNOCKS)]
    serving = next(iter(wanted), None) if crowd else wait_for_taker(address, wanted, patience)
    if serving is None:
        return None
    status = next((found for one in waiting if (found := answer_of(one, request)) is not None), None)
    return None if status is None else (serving, status)


def wait_for_taker(address: Address, wanted: Iterable[int], patience: float) -> int | None:
    deadline = time.monotonic() + patience
    # As the table names it.
    own = next((path for path, _, inode in unix_sockets() if inode == address.inode), "")
    while time.monotonic() < deadline:
        taken = {inode for path, state, inode in unix_sockets() if path == own and state == CONNECTED and inode != "0"}
        for pid in wanted:
            if taken & sockets(pid):
                return pid
        time.sleep(PAUSE)
    return None


def connected(address: Address, patience: float, stack: contextlib.ExitStack) -> socket.socket:
    connection = stack.enter_context(socket.socket(address.family))
    connection.settimeout(patience)
    connection.connect(address.name)
    return connection


def answer_of(connection: socket.socket, request: bytes) -> int | None:
    """Send a request and return the status of the answer; None where that is none."""
    connection.sendall(request)
    with connection.makefile("rb") as answer:
        words = answer.readline().split()
    return int(words[1]) if len(words) > 1 and words[1].isdigit() else None


def knock(
    address: Address, wanted: Iterable[int], patience: float, stack: contextlib.ExitStack, *, keep: bool
) -> tuple[tuple[int, socket.socket] | None, list[socket.socket]]:
    """Connect several times at once: what a wanted process accepts, if any, with its id, and what others do.

    A worker that serves one connection after the other would wait for a request on it: where not kept, it is closed.
    """
    knocks = [connected(address, patience, stack) for _ in range(KNOCKS)]
    deadline = time.monotonic() + patience
    waiting = {f":{connection.getsockname()[1]:04X}": connection for connection in knocks}
    others = list[socket.socket]()
    while waiting and time.monotonic() < deadline:
        for local, remote, _, inode in connections():
            if inode == "0" or remote[-5:] not in waiting or not local.endswith(f":{address.port:04X}"):
                continue
            connection = waiting.pop(remote[-5:])
            taker = next((pid for pid in wanted if inode in sockets(pid)), None)
            if taker is not None:
                # It may have taken one of these too, and wait for a request on that first.
                for other in waiting.values():
                    other.close()
                return (taker, connection), others
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


def configured(master: Process, server: bytes) -> dict[str, Any]:
    """Have the server read its own settings once more, without the app: `preload`, `workers`, its config file."""
    return told_settings(ask_settings(master, server), server)


def ask_settings(master: Process, server: bytes) -> subprocess.Popen[bytes]:
    """Begin to have them read: it takes a while, and others can be asked meanwhile."""
    argv, environment = master.argv, environment_of(master.pid)
    with user_of(master.pid):
        folder, own = (os.readlink(f"/proc/{master.pid}/{link}") for link in ("cwd", "exe"))
    program = next((at for at, word in enumerate(argv[:2]) if os.path.basename(word) == server), None)
    if program is None:
        raise ExpectedError("%s hides its command line, so its settings are unknown", server.decode())
    python = argv[0] if program else os.fsencode(own)
    status = os.stat(f"/proc/{master.pid}")

    def become() -> None:
        os.setgid(status.st_gid)
        os.setuid(status.st_uid)

    pipe, null = subprocess.PIPE, subprocess.DEVNULL
    words = [python, b"-c", TELL.encode(), *argv[program:]]
    return subprocess.Popen(words, cwd=folder, env=environment, preexec_fn=become, stdin=null, stdout=pipe, stderr=null)


def told_settings(asked: subprocess.Popen[bytes], server: bytes) -> dict[str, Any]:
    output, _ = asked.communicate()
    if asked.returncode:
        raise ExpectedError("the settings of %s cannot be read", server.decode())
    found: dict[str, Any] = json.loads(output.splitlines()[-1])
    return found


# Run by the master's own interpreter, with its command line.
TELL = """
import json, os, sys
sys.argv = sys.argv[1:]
from gunicorn.app.wsgiapp import WSGIApplication
settings = WSGIApplication().cfg
config = settings.config and os.path.abspath(settings.config)
print(json.dumps({"preload": settings.preload_app, "workers": settings.workers, "config": config}))
"""
