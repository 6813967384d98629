"""Ask production at a steady rate, from a process of its own, and write down how every request went.

python -m tests.bench.client RATE DOOR=PORT[PATH]... says `asking` once it does, and tells every request when its stdin
ends; without a path a door is asked for its health.
It asks RATE times a second, the doors in turns, always over a new connection; a request that hangs holds up no other.
"""

import asyncio
import gc
import os
import re
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from deploy.sandbox.shape import BASIC_HEALTH
from tests.bench.figures import Request

ROOT = Path(__file__).resolve().parents[2]
TIMEOUT = 10.0
_BLOCK = 65536
_LENGTH = re.compile(rb"^content-length: *(\d+)", re.IGNORECASE | re.MULTILINE)


@contextmanager
def asking(doors: Mapping[str, int | str], rate: int) -> Iterator[list[Request]]:
    """Have loopback ports asked, by the name of their door, until the block ends, and then give what came of it."""
    command = [sys.executable, "-m", "tests.bench.client", str(rate), *(f"{door}={doors[door]}" for door in doors)]
    requests: list[Request] = []
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    ) as client:
        assert client.stdout, "its stdout is a pipe"
        client.stdout.readline()
        try:
            yield requests
        finally:
            told, _ = client.communicate()
            requests += map(_parsed, told.splitlines())


def is_good(answer: bytes) -> bool:
    """Tell whether an HTTP answer is a 200 that came whole."""
    head, _, body = answer.partition(b"\r\n\r\n")
    length = _LENGTH.search(head)
    return head.split(b" ", 2)[1:2] == [b"200"] and length is not None and int(length[1]) == len(body)


async def ask(door: str, port: int, path: str = BASIC_HEALTH) -> Request:
    """Ask once; what goes wrong makes the request a failed one."""
    at, begin = time.time(), time.perf_counter()
    try:
        async with asyncio.timeout(TIMEOUT):
            good = is_good(await _answer(port, path))
    except OSError:
        good = False
    return Request(door, at, time.perf_counter() - begin, good)


async def ask_steadily(doors: Mapping[str, tuple[int, str]], rate: int, stop: asyncio.Event) -> list[Request]:
    """Ask at the rate, the doors in turns, until told to stop, and wait for the last answers."""
    asked: list[asyncio.Task[Request]] = []
    now = asyncio.get_running_loop().time
    async with asyncio.TaskGroup() as group:
        due = now()
        while not stop.is_set():
            for door, (port, path) in doors.items():
                asked.append(group.create_task(ask(door, port, path)))
                due += 1 / rate
                await asyncio.sleep(due - now())
    return [task.result() for task in asked]


async def _answer(port: int, path: str) -> bytes:
    loop, answer = asyncio.get_running_loop(), b""
    with socket.socket() as connection:
        connection.setblocking(False)
        await loop.sock_connect(connection, ("127.0.0.1", port))
        question = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
        await loop.sock_sendall(connection, question.encode())
        while block := await loop.sock_recv(connection, _BLOCK):
            answer += block
    return answer


async def _ask_until_stdin_ends(doors: Mapping[str, tuple[int, str]], rate: int) -> list[Request]:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin, stop.set)
    print("asking", flush=True)  # noqa: T201 - for whoever started this
    try:
        return await ask_steadily(doors, rate, stop)
    finally:
        loop.remove_reader(sys.stdin)


def _place(door: str) -> tuple[int, str]:
    port, slash, path = door.partition("/")
    return int(port), slash + path if slash else BASIC_HEALTH


def _parsed(line: str) -> Request:
    door, at, seconds, good = line.split("\t")
    return Request(door, float(at), float(seconds), good == "True")


def main(rate: str, *doors: str) -> None:
    # Neither a pause for the collector, nor a want of sockets or of its turn may look like production's fault.
    gc.disable()
    with suppress(PermissionError):
        os.nice(-10)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    places = {door: _place(place) for door, _, place in (word.partition("=") for word in doors)}
    for request in asyncio.run(_ask_until_stdin_ends(places, int(rate))):
        print(request.door, request.at, request.seconds, request.good, sep="\t")  # noqa: T201 - for whoever started this


if __name__ == "__main__":
    main(*sys.argv[1:])
