"""This machine as the host of a target."""

import os
import selectors
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from deploy.answers import said_by
from deploy.errors import Failure
from deploy.host.dialogue import BLOCK, Deadline, Process, Shell
from deploy.message import say

if TYPE_CHECKING:
    import requests


class LocalHost(Shell):
    """This machine."""

    def __init__(self) -> None:
        super().__init__(say("this machine"))

    def http(self) -> "requests.Session":
        from deploy.host import loopback

        return loopback.direct()

    def close(self) -> None:
        """Nothing is open between two commands."""

    def _start(self, command: tuple[str, ...], deadline: Deadline) -> Process:
        try:
            return _LocalProcess(command)
        except OSError as error:
            raise Failure(say("%s does not run on %s", command[0], self.label), evidence=(said_by(error),)) from error

    def _start_ahead(self, command: tuple[str, ...], count: int) -> None:
        """Nothing here takes long to begin."""


class _LocalProcess:
    """A process in a session of its own, so that Ctrl-C here does not reach it. One loop serves its three streams."""

    def __init__(self, command: tuple[str, ...]) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
        self._stdin, self._stdout, self._stderr = self._process.stdin, self._process.stdout, self._process.stderr
        assert self._stdin
        self._unsent = memoryview(b"")
        self._complaints = bytearray()
        os.set_blocking(self._stdin.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ)  # type: ignore[arg-type]
        self._selector.register(self._stderr, selectors.EVENT_READ)  # type: ignore[arg-type]

    def tell(self, line: bytes) -> None:
        assert self._stdin
        with suppress(BrokenPipeError):
            os.write(self._stdin.fileno(), line)

    def feed(self, stdin: bytes) -> None:
        assert self._stdin
        self._unsent = memoryview(stdin)
        self._selector.register(self._stdin, selectors.EVENT_WRITE)

    def read(self, deadline: Deadline) -> bytes:
        while self._stdout not in self._serve(deadline):
            pass
        return self._take(self._stdout)

    def complaints(self, mark: bytes, deadline: Deadline) -> bytes:
        while self._is_open(self._stderr) and not (mark and mark in self._complaints):
            self._serve(deadline)
        return bytes(self._complaints)

    def status(self, deadline: Deadline) -> int:
        try:
            status = self._process.wait(deadline.left())
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        # As shells do: a process that a signal ended has the status 128 + signal.
        return status if status >= 0 else 128 - status

    def close(self) -> None:
        self._selector.close()
        for stream in (self._stdin, self._stdout, self._stderr):
            if stream:
                stream.close()
        self._process.poll()

    def _is_open(self, stream: object) -> bool:
        return stream in [key.fileobj for key in self._selector.get_map().values()]

    def _serve(self, deadline: Deadline) -> list[object]:
        """Wait until streams are ready, feed stdin and collect stderr, and tell which were ready."""
        ready: list[object] = [key.fileobj for key, _ in self._selector.select(deadline.left())]
        if not ready:
            raise TimeoutError
        if self._stdin in ready:
            self._send()
        if self._stderr in ready:
            self._complaints += self._take(self._stderr)
        return ready

    def _send(self) -> None:
        assert self._stdin
        try:
            sent = os.write(self._stdin.fileno(), self._unsent[:BLOCK])
        except BrokenPipeError:
            sent = len(self._unsent)
        self._unsent = self._unsent[sent:]
        if not self._unsent:
            self._selector.unregister(self._stdin)
            self._stdin.close()

    def _take(self, stream: Any) -> bytes:
        block = os.read(stream.fileno(), BLOCK)
        if not block:
            self._selector.unregister(stream)
        return block
