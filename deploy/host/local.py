"""This machine as the host of a target."""

import os
import selectors
import subprocess
from typing import TYPE_CHECKING, Any

from deploy.host.dialogue import BLOCK, Deadline, Process, Shell

if TYPE_CHECKING:
    import requests


class LocalHost(Shell):
    """This machine."""

    def __init__(self) -> None:
        super().__init__("this machine")

    def http(self) -> "requests.Session":
        from deploy.host import loopback

        return loopback.direct()

    def close(self) -> None:
        """Nothing is open between two commands."""

    def _start(self, command: tuple[str, ...], stdin: bytes, deadline: Deadline) -> Process:
        return _LocalProcess(command, stdin, deadline)

    def _start_ahead(self, command: tuple[str, ...], count: int) -> None:
        """Nothing here takes long to begin."""


class _LocalProcess:
    """A process in a session of its own, so that Ctrl-C here does not reach it. One loop serves its three streams."""

    def __init__(self, command: tuple[str, ...], stdin: bytes, deadline: Deadline) -> None:
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            command, bufsize=0, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
        )
        self._stdin, self._stdout, self._stderr = self._process.stdin, self._process.stdout, self._process.stderr
        assert self._stdin
        self._unsent = memoryview(stdin)
        self._complaints: list[bytes] = []
        self._deadline = deadline
        os.set_blocking(self._stdin.fileno(), False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdin, selectors.EVENT_WRITE)
        self._selector.register(self._stdout, selectors.EVENT_READ)  # type: ignore[arg-type]
        self._selector.register(self._stderr, selectors.EVENT_READ)  # type: ignore[arg-type]

    def read(self) -> bytes:
        while self._stdout not in self._serve():
            pass
        return self._take(self._stdout)

    def finish(self) -> tuple[int, bytes]:
        while self._stderr in [key.fileobj for key in self._selector.get_map().values()]:
            self._serve()
        try:
            status = self._process.wait(self._deadline.left())
        except subprocess.TimeoutExpired:
            raise TimeoutError from None
        # As shells do: a process that a signal ended has the status 128 + signal.
        return status if status >= 0 else 128 - status, b"".join(self._complaints)

    def close(self) -> None:
        self._selector.close()
        for stream in (self._stdin, self._stdout, self._stderr):
            if stream:
                stream.close()
        self._process.poll()

    def _serve(self) -> list[object]:
        """Wait until streams are ready, feed stdin and collect stderr, and tell which were ready."""
        ready: list[object] = [key.fileobj for key, _ in self._selector.select(self._deadline.left())]
        if not ready:
            raise TimeoutError
        if self._stdin in ready:
            self._send()
        if self._stderr in ready:
            self._complaints.append(self._take(self._stderr))
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
