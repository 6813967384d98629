"""Known causes of a failure, by what the lines that show it say, each with the next move."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from deploy import remedies
from deploy.message import Message, Told, Value, say


def _end_holder(*values: Value) -> Message | None:
    match values:
        case (_, Message(values=(_, str(session), *_))) if re.fullmatch("[0-9]+", session):
            return remedies.end_session(session)
    return None


# What our scripts say, by its format, each with its remedy, which is given the values.
SAID: Mapping[str, Callable[..., Told | None]] = {
    "the kernel killed a process in %s for want of memory (its limit: %s; oom_kill: %s)": lambda *_: (
        remedies.GIVE_MEMORY
    ),
    "%s was killed for want of memory, says docker (OOMKilled)": lambda *_: remedies.GIVE_MEMORY,
    "%s: the migration %s": _end_holder,
    "the new code changed the database while it booted, although its sessions were to be read-only": (
        lambda *_: remedies.LET_PROOF_WRITE
    ),
}
# What programs print, each with its remedy, which is given what the groups found.
_CAUSES: tuple[tuple[str, Callable[..., Told]], ...] = (
    (r"ModuleNotFoundError: No module named '([\w.]+)'", remedies.install_module),
    (r"Can't locate revision identified by '(\w+)'", remedies.deploy_revision),
    (r"in a read-only transaction", lambda: remedies.LET_PROOF_WRITE),
    (r"unsupported startup parameter", lambda: remedies.ALLOW_OPTIONS),
    (r"Address already in use", lambda: remedies.FREE_PORT),
    (r"No space left on device", lambda: remedies.FREE_DISK),
    (r"(?:SyntaxError|IndentationError|TabError): .*", lambda: remedies.MEND_FILE),
)
# Words by which a line in a log tells of an error; a daemon that says which user it runs as is none.
_ERRORS = ("Error", "ERROR", "CRITICAL", "Exception")
# What follows from a worker that could not boot, and does not say why it could not.
_CONSEQUENCES = re.compile(
    r"Exception in worker process|Worker failed to boot|Shutting down: Master|exited with code|HaltServer"
)
_TRACEBACK = "Traceback (most recent call last)"
# The last line of a traceback; where its head is cut off, only a name such as ImportError tells.
_RAISED = re.compile(r"([A-Za-z_][\w.]*)(?::\s.*)?$")
_NAMED = re.compile(r"[A-Za-z_][\w.]*(?:Error|Exception)(?::\s.*)?$")
# So a process ends that was told to.
_ENDS = ("SystemExit", "KeyboardInterrupt", "HaltServer")
# How Compose begins a line of a container's.
_PREFIX = re.compile(r"^\S+\s+\| ")
_FILE = re.compile(r'File "(.+?)", line (\d+)')


def remedy(lines: Sequence[Told]) -> Told | None:
    """Say what to do about the first known cause in the lines; nothing where none is known."""
    for message in _messages(lines):
        if (known := SAID.get(message.format)) and (remedied := known(*message.values)):
            return remedied
    text = "\n".join(map(_written, lines))
    for pattern, told in _CAUSES:
        if found := re.search(pattern, text):
            return told(*found.groups())
    return None


def _messages(told: Iterable[Value]) -> Iterator[Message]:
    """Give the messages and those that they have in them."""
    for one in told:
        if isinstance(one, Message):
            yield one
            yield from _messages(one.values)


def place(lines: Sequence[Told]) -> Message | None:
    """Name file and line of a syntax error, the last place that the traceback names; else nothing."""
    text = "\n".join(map(_written, lines))
    found = _FILE.findall(text) if re.search("SyntaxError|IndentationError|TabError", text) else []
    return say("%s, line %s", *found[-1]) if found else None


def _written(told: Value) -> str:
    """Write a line such that the patterns find a cause in it: of a message its format, then its values."""
    match told:
        case Message():
            return " ".join((told.format, *map(_written, told.values)))
        case str() | int() | float():
            return str(told)
        case _:
            return " ".join(map(_written, told))


class Complaint(NamedTuple):
    """What lines of a log complain of, and whether that is a cause or only what follows from one."""

    line: str = ""
    is_cause: bool = False


def starts(lines: Sequence[str], beginning: str) -> list[list[str]]:
    """Cut a log where a start of the app server begins."""
    cut: list[list[str]] = [[]]
    for line in lines:
        if beginning in line:
            cut.append([])
        cut[-1].append(line)
    return cut


def complaint(lines: Sequence[str]) -> Complaint:
    """Find the last exception that was raised, else the last line of an error, one that tells a cause before others."""
    told = [_PREFIX.sub("", line) for line in lines]
    if raised := _raised(told):
        return Complaint(raised, is_cause=True)
    errors = [line.strip() for line in told if any(word in line for word in _ERRORS)]
    telling = [line for line in errors if not _CONSEQUENCES.search(line)]
    return Complaint((telling or errors or [""])[-1], is_cause=bool(telling))


def _raised(lines: Sequence[str]) -> str:
    last, inside = "", False
    for line in lines:
        if _TRACEBACK in line:
            inside = True
        elif (found := _RAISED.match(line)) and (inside or _NAMED.match(line)):
            inside = False
            last = last if found[1].rpartition(".")[2] in _ENDS else line.strip()
    return last
