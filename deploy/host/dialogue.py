"""One Bash script, what is fed to it and what it answers, over whatever carries it: SSH or a local process."""

import codecs
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Protocol

from deploy import remedies
from deploy.errors import Exit, Failure

BLOCK = 65536

# The script comes by stdin: no limit to its size, nothing of it in ps, and the login shell never parses it.
# Its first line is the mark and the number of bytes; a line before the mark is a password that sudo did not ask for.
# Bash takes exactly that many bytes, so the rest is the script's own stdin, and a script that was cut off never runs.
_MARK = "hot-update-script"
_READER = (
    f'line=; until [ "$line" = {_MARK} ]; do read -r line count || exit; done; '
    'LC_ALL=C IFS= read -rN "$count" script || exit; eval "$script"'
)

# Behind sshd Bash reads ~/.bashrc even for a script: the login shell may have done so, once more is too much.
_BASH = ("bash", "--norc", "-c")

# -k: what counts is what sudo allows without a password, not what its cache allows until it runs out.
_ASK_SUDO = """
if [ "$(id -u)" = 0 ]; then echo root
elif ! command -v sudo >/dev/null; then echo missing
elif sudo -k -n bash --norc -c : </dev/null >/dev/null 2>&1; then echo free
else echo password
fi
"""
_SUDO_FREE = ("sudo", "-n")
_SUDO_PASSWORD = ("sudo", "-k", "-S", "-p", "")


@dataclass(frozen=True)
class Answer:
    """How a script ended and what it wrote. The status is one that it gave: a lost connection raises Disconnected."""

    status: int
    stdout: str
    stderr: str


class Disconnected(Failure):
    """The connection was lost before the script's end was seen; on the host it may run on."""


class Deadline:
    """The moment until which an answer is waited for; without seconds there is none."""

    def __init__(self, seconds: float | None) -> None:
        self._end = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float | None:
        """Tell the seconds that are left, or raise TimeoutError."""
        if self._end is None:
            return None
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class Process(Protocol):
    """A running command. Waiting for it raises TimeoutError at its deadline and Disconnected when it is lost."""

    def read(self) -> bytes:
        """Wait for the next block of its stdout; empty at the end."""

    def finish(self) -> tuple[int, bytes]:
        """Wait for its end, once all is read: its exit status and stderr."""

    def close(self) -> None:
        """Let go of it. It is not ended by that."""


class Shell(ABC):
    """A host that runs Bash scripts, as root through sudo when `escalate` was called."""

    def __init__(self, label: str) -> None:
        self.label = label
        self._sudo: tuple[str, ...] = ()
        self._password = ""

    @abstractmethod
    def _start(self, command: tuple[str, ...], stdin: bytes, deadline: Deadline) -> Process: ...

    @abstractmethod
    def _start_ahead(self, command: tuple[str, ...], count: int) -> None: ...

    def prepare(self, count: int) -> None:
        """Prepare for that many scripts, which then begin without delay."""
        self._start_ahead(self._command(), count)

    def run(self, script: str, *, stdin: bytes = b"", timeout: float | None = None) -> Answer:
        """Run a script to its end; after timeout seconds it is ended there and a Failure raised here."""
        try:
            with closing(self._script(script, stdin, timeout)) as process:
                stdout = b"".join(iter(process.read, b""))
                status, stderr = process.finish()
        except TimeoutError:
            raise Failure(f"a command on {self.label} took longer than {timeout:g} s and was ended") from None
        return Answer(status, _text(stdout), _text(stderr))

    @contextmanager
    def stream(self, script: str, *, stdin: bytes = b"") -> Iterator[Iterator[str]]:
        """Give a script's stdout line by line as it comes; at its end an exit status other than 0 raises Failure.

        Leaving early lets go of the script and does not end it.
        """
        with closing(self._script(script, stdin, None)) as process:
            yield self._lines(process)

    def escalate(self, ask: Callable[[str], str] | None) -> None:
        """Run everything from now on as root: by itself, through sudo, or through sudo with the password asked for."""
        match self.run(_ASK_SUDO).stdout.split()[-1:]:
            case ["root"]:
                return
            case ["free"]:
                self._sudo = _SUDO_FREE
            case ["password"]:
                self._use_password(ask)
            case ["missing"]:
                fact = f"there is no sudo on {self.label}"
                raise Failure(fact, remedy=remedies.INSTALL_SUDO, code=Exit.REFUSED)
            case answer:
                raise Failure(f"{self.label} did not say whether sudo needs a password", evidence=tuple(answer))

    def _use_password(self, ask: Callable[[str], str] | None) -> None:
        fact = f"sudo on {self.label} needs a password"
        refusal = Failure(fact, remedy=remedies.FREE_SUDO, code=Exit.REFUSED)
        if ask is None:
            raise refusal
        try:
            password = ask(f"sudo password for {self.label}: ")
        except EOFError:
            raise refusal from None
        # Tried on its own first: sudo takes what follows a wrong password for the next attempt.
        with closing(self._start((*_SUDO_PASSWORD, *_BASH, ":"), f"{password}\n".encode(), Deadline(None))) as trial:
            while trial.read():
                pass
            status, stderr = trial.finish()
        if status != 0:
            evidence = tail(stderr)
            fact = f"sudo on {self.label} did not accept the password, or does not let this user run commands"
            raise Failure(fact, evidence=evidence, remedy=remedies.TRY_SUDO, code=Exit.REFUSED)
        self._sudo, self._password = _SUDO_PASSWORD, password

    def _script(self, script: str, stdin: bytes, timeout: float | None) -> Process:
        password = f"{self._password}\n".encode() if self._sudo == _SUDO_PASSWORD else b""
        body = script.encode()
        fed = b"%s%s %d\n%s%s" % (password, _MARK.encode(), len(body), body, stdin)
        return self._start(self._command(timeout), fed, Deadline(timeout))

    def _command(self, timeout: float | None = None) -> tuple[str, ...]:
        # Under sudo the user may not signal the command: timeout runs on its side of it.
        limit = () if timeout is None else ("timeout", "-k", "5", str(math.ceil(timeout)))
        return (*self._sudo, *limit, *_BASH, _READER)

    def _lines(self, process: Process) -> Iterator[str]:
        yield from lines(iter(process.read, b""))
        status, stderr = process.finish()
        if status != 0:
            raise Failure(f"a command on {self.label} ended with status {status}", evidence=tail(stderr))


def lines(blocks: Iterable[bytes]) -> Iterator[str]:
    """Cut blocks of UTF-8 into lines, without their newlines, wherever the blocks were cut."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    pending = ""
    for block in blocks:
        *whole, pending = (pending + decoder.decode(block)).split("\n")
        yield from whole
    pending += decoder.decode(b"", final=True)
    if pending:
        yield pending


def tail(stderr: bytes, count: int = 10) -> tuple[str, ...]:
    """Keep the last lines of what a command complained."""
    return tuple(line for line in _text(stderr).splitlines() if line.strip())[-count:]


def _text(written: bytes) -> str:
    return written.decode("utf-8", "replace")
