"""One Bash script, what is fed to it and what it answers, over whatever carries it: SSH or a local process."""

import codecs
import math
import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Protocol

from deploy import remedies
from deploy.errors import Exit, Failure
from deploy.host import login
from deploy.message import Printed, Told, say, unpack

BLOCK = 65536

# Names that pass from the login into a script; whatever else login files export stays outside. They say who and where
# the user is, which engine and which remote they reach, and how.
PASSED_ON = (
    *("HOME", "USER", "LOGNAME", "XDG_RUNTIME_DIR"),
    *("DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY"),
    *("SSH_AUTH_SOCK", "GIT_SSH_COMMAND"),
    *("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy"),
)
# Appended: a login need not have them, and another user's own come first.
_USUAL_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

# The login shell, whichever it is, parses these two: no quote, backslash or exclamation mark may stand in them.
# The first makes the environment: folder, file mode, limits and signals as they are without login files, and the
# names above alone.
_CLEAN = (
    "cd /; umask 022; for limit in f t v d u; do ulimit -S -$limit hard; done 2>/dev/null; "
    'reset=; if [ -n "$(trap)" ] && env --default-signal true 2>/dev/null; then reset=--default-signal; fi; '
    "exec env $reset -i "
    + "".join(f'${{{name}:+{name}="${name}"}} ' for name in PASSED_ON)
    + f'PATH="$PATH:{_USUAL_PATH}" LC_ALL=C bash --norc -c "$1"'
)
# The second says that it is ready, in two parts, so that no list of commands shows the whole. Only then the script is
# sent, by stdin: no limit to its size, nothing of it in ps, and no other shell ever takes it for its own commands.
# Its first line is a name, the mark and the number of bytes; a line before it is a password that sudo did not ask for.
# Bash takes exactly that many bytes, so the rest is the script's own stdin, and a script that was cut off never runs.
# What the script writes stands between two marks, with its status after the second; all else is not its answer.
_READY = b"hot-update-ready"
_HEADER = "hot-update-script"
_READER = (
    f'printf %s%s hot-update- ready; line=; until [ "$line" = {_HEADER} ]; do read -r line mark count || exit; done; '
    'IFS= read -rN "$count" script || exit; printf %s "$mark("; printf %s "$mark(" >&2; '
    '(unset line mark count; eval "$script"); status=$?; '
    'printf %s "$mark)$status;"; printf %s "$mark)$status;" >&2; exit $status'
)
# Behind sshd Bash reads ~/.bashrc even for a command: the login shell may have done so, once more is too much.
# -p: none of the login's functions and options, nor its BASH_ENV.
_BASH = ("bash", "--norc", "-p", "-c", _CLEAN, "hot-update", _READER)

# Seconds until a host is asked by _KNOCK whether a shell of its login files reads our stdin, and until it is given up.
_PATIENCE, _READY_SECONDS = 4.0, 60.0
_KNOCK = b"exit 97\n"

# -k: what counts is what sudo allows without a password, not what its cache allows until it runs out.
_ASK_SUDO = """
if [ "$(id -u)" = 0 ]; then echo root
elif ! command -v sudo >/dev/null; then echo missing
elif sudo -k -n bash --norc -p -c : </dev/null >/dev/null 2>&1; then echo free
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


class Ended(Failure):
    """A script ended with another status than 0."""


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

    def within(self, seconds: float) -> "Deadline":
        """Give the earlier one: this, or that many seconds from now."""
        left = self.left()
        return Deadline(seconds if left is None else min(left, seconds))


class Process(Protocol):
    """A running command. Waiting for it raises TimeoutError at the deadline and Disconnected when it is lost."""

    def tell(self, line: bytes) -> None:
        """Write a line to its stdin."""

    def feed(self, stdin: bytes) -> None:
        """Write the rest of its stdin and its end, meanwhile."""

    def read(self, deadline: Deadline) -> bytes:
        """Wait for the next block of its stdout; empty at the end."""

    def complaints(self, mark: bytes, deadline: Deadline) -> bytes:
        """Wait for its stderr up to a mark, or to its end."""

    def status(self, deadline: Deadline) -> int:
        """Wait for its end, once all is read: its exit status."""

    def close(self) -> None:
        """Let go of it. It is not ended by that."""


class _Script:
    """A script in a process that is ready for one, and what it writes between its marks."""

    def __init__(self, process: Process, label: Told, deadline: Deadline) -> None:
        mark = secrets.token_hex(16).encode()
        self._begin, self._end, self._mark = mark + b"(", mark + b")", mark
        self._process = process
        self._label = label
        self._deadline = deadline
        self._pending = b""
        self._began = self._over = False
        self._status: int | None = None

    def start(self, script: bytes, stdin: bytes, password: bytes) -> None:
        """Wait until a clean Bash is ready, past whatever login files write, and only then send the script."""
        if password:
            self._process.tell(password)
        try:
            try:
                self._await_ready(self._deadline.within(_PATIENCE))
            except TimeoutError:
                if not password:
                    self._process.tell(_KNOCK)
                self._await_ready(self._deadline.within(_READY_SECONDS - _PATIENCE))
        except TimeoutError:
            # The script's own deadline comes first.
            self._deadline.left()
            raise login.waits(self._label, _READY_SECONDS, self._pending) from None
        self._process.feed(b"%s %s %d\n%s%s" % (_HEADER.encode(), self._mark, len(script), script, stdin))

    def read(self) -> bytes:
        """Wait for the next block of the script's stdout; empty at the end."""
        while not self._over:
            block = self._process.read(self._deadline)
            self._over = not block
            self._pending += block
            if told := self._own():
                return told
        rest, self._pending = self._pending if self._began and self._status is None else b"", b""
        return rest

    def finish(self) -> tuple[int, bytes]:
        """Wait for the script's end, once all is read: its exit status and stderr."""
        written = self._process.complaints(self._end, self._deadline)
        _, began, own = written.partition(self._begin)
        stderr = own.partition(self._end)[0] if began else written
        if self._status is not None:
            return self._status, stderr
        status = self._process.status(self._deadline)
        if not self._began or status == 0:
            raise Disconnected(say("a command on %s ended without a word of how", self._label), evidence=tail(stderr))
        return status, stderr

    def close(self) -> None:
        self._process.close()

    def _await_ready(self, deadline: Deadline) -> None:
        while _READY not in self._pending:
            block = self._process.read(deadline)
            if not block:
                said = self._pending, self._process.complaints(b"", deadline)
                raise login.refuses(self._label, self._process.status(deadline), *said)
            # Of endless chatter the beginning is shown, and its end may be ours.
            self._pending = self._pending[:BLOCK] + self._pending[BLOCK:][-BLOCK:] + block
        self._pending = self._pending.partition(_READY)[2]

    def _own(self) -> bytes:
        """Take what is the script's own out of what has come."""
        if not self._began:
            _, began, rest = self._pending.partition(self._begin)
            if not began:
                return b""
            self._began, self._pending = True, rest
        own, ended, rest = self._pending.partition(self._end)
        if not ended:
            kept = _overlap(own, self._end)
            self._pending = own[len(own) - kept :]
            return own[: len(own) - kept]
        self._pending = self._end + rest
        status, told, _ = rest.partition(b";")
        if told:
            self._status, self._over = int(status), True
        return own


class Shell(ABC):
    """A host that runs Bash scripts, as root through sudo when `escalate` was called."""

    def __init__(self, label: Told) -> None:
        self.label = label
        self._sudo: tuple[str, ...] = ()
        self._password = ""

    @abstractmethod
    def _start(self, command: tuple[str, ...], deadline: Deadline) -> Process: ...

    @abstractmethod
    def _start_ahead(self, command: tuple[str, ...], count: int) -> None: ...

    def prepare(self, count: int) -> None:
        """Prepare for that many scripts, which then begin without delay."""
        self._start_ahead(self._command(), count)

    def run(self, script: str, *, stdin: bytes = b"", timeout: float | None = None) -> Answer:
        """Run a script to its end; after timeout seconds it is ended there and a Failure raised here."""
        try:
            with self._script(script, stdin, timeout) as running:
                stdout = b"".join(iter(running.read, b""))
                status, stderr = running.finish()
        except TimeoutError:
            fact = say("a command on %s took longer than %s s and was ended", self.label, f"{timeout:g}")
            raise Failure(fact) from None
        return Answer(status, _text(stdout), _text(stderr))

    @contextmanager
    def stream(self, script: str, *, stdin: bytes = b"") -> Iterator[Iterator[str]]:
        """Give a script's stdout line by line as it comes; at its end an exit status other than 0 raises Ended.

        Leaving early lets go of the script and does not end it.
        """
        with self._script(script, stdin, None) as running:
            yield self._lines(running)

    def escalate(self, ask: Callable[[Told], str] | None) -> None:
        """Run everything from now on as root: by itself, through sudo, or through sudo with the password asked for."""
        match self.run(_ASK_SUDO).stdout.split()[-1:]:
            case ["root"]:
                return
            case ["free"]:
                self._sudo = _SUDO_FREE
            case ["password"]:
                self._use_password(ask)
            case ["missing"]:
                fact = say("there is no sudo on %s", self.label)
                raise Failure(fact, remedy=remedies.INSTALL_SUDO, code=Exit.REFUSED)
            case answer:
                fact = say("%s did not say whether sudo needs a password", self.label)
                raise Failure(fact, evidence=tuple(map(Printed, answer)))

    def _use_password(self, ask: Callable[[Told], str] | None) -> None:
        fact = say("sudo on %s needs a password", self.label)
        refusal = Failure(fact, remedy=remedies.FREE_SUDO, code=Exit.REFUSED)
        if ask is None:
            raise refusal
        try:
            password = ask(say("sudo password for %s: ", self.label))
        except EOFError:
            raise refusal from None
        # Tried on its own first: sudo takes what follows a wrong password for the next attempt.
        command = (*_SUDO_PASSWORD, "bash", "--norc", "-p", "-c", ":")
        deadline = Deadline(_READY_SECONDS)
        with closing(self._start(command, deadline)) as trial:
            trial.feed(f"{password}\n".encode())
            while trial.read(deadline):
                pass
            complaints = tail(trial.complaints(b"", deadline))
            accepted = trial.status(deadline) == 0
        if not accepted:
            # Login files may complain on the same stream.
            evidence = tuple(line for line in complaints if str(line).startswith("sudo")) or complaints
            fact = say("sudo on %s did not accept the password, or does not let this user run commands", self.label)
            raise Failure(fact, evidence=evidence, remedy=remedies.TRY_SUDO, code=Exit.REFUSED)
        self._sudo, self._password = _SUDO_PASSWORD, password

    @contextmanager
    def _script(self, script: str, stdin: bytes, timeout: float | None) -> Iterator[_Script]:
        password = f"{self._password}\n".encode() if self._sudo == _SUDO_PASSWORD else b""
        deadline = Deadline(timeout)
        with closing(_Script(self._start(self._command(timeout), deadline), self.label, deadline)) as running:
            running.start(script.encode("utf-8", "surrogateescape"), stdin, password)
            yield running

    def _command(self, timeout: float | None = None) -> tuple[str, ...]:
        # Under sudo the user may not signal the command: timeout runs on its side of it.
        limit = () if timeout is None else ("timeout", "-k", "5", str(math.ceil(timeout)))
        return (*self._sudo, *limit, *_BASH)

    def _lines(self, running: _Script) -> Iterator[str]:
        yield from lines(iter(running.read, b""))
        status, stderr = running.finish()
        if status != 0:
            raise Ended(say("a command on %s ended with status %s", self.label, status), evidence=tail(stderr))


def lines(blocks: Iterable[bytes]) -> Iterator[str]:
    """Cut blocks of UTF-8 into lines, without their newlines, wherever the blocks were cut.

    Other bytes, as file names may have them, become surrogates, and these bytes again in a script.
    """
    decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
    pending = ""
    for block in blocks:
        *whole, pending = (pending + decoder.decode(block)).split("\n")
        yield from whole
    pending += decoder.decode(b"", final=True)
    if pending:
        yield pending


def _overlap(text: bytes, mark: bytes) -> int:
    """Tell how many bytes at the end of a text may be the beginning of a mark."""
    longest = min(len(text), len(mark) - 1)
    return next((count for count in range(longest, 0, -1) if text.endswith(mark[:count])), 0)


def tail(stderr: bytes, count: int = 10) -> tuple[Told, ...]:
    """Keep the last lines of what a command complained."""
    return tuple(unpack(line) for line in _text(stderr).split("\n") if line.strip())[-count:]


def _text(written: bytes) -> str:
    return written.decode("utf-8", "surrogateescape")
