"""The one place where text is shown. Nothing in it acts on a terminal, and nothing about it can end a verb."""

import contextlib
import errno
import io
import json
import os
import re
import sys
import unicodedata
from typing import Any, Literal

from deploy import remedies
from deploy.errors import Failure
from deploy.message import say

# What stands for a sign of ours where the output cannot show it.
_PLAIN = {"✓": "+", "✗": "x", "▸": ">", "◂": "<", "→": "->", "·": "-", "…": "...", "–": "-"}
# Letters by Unicode that nobody sees.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
# What stays together in a line: a word or a full-width character, what opens and closes around it, and blanks.
_PARTS = re.compile(r"[（《【]*(?:[^\s\u2e80-\uffef]+|[\u2e80-\uffef])[，。；：、！？）】》]*\s*|\s+")
Name = Literal["stdout", "stderr"]


def visible(text: str) -> str:
    """Write out every character that acts or hides: controls, line ends, directions, what has no width."""
    if text.isprintable() and _BLANK.isdisjoint(text):
        return text
    return "".join(_written_out(character) if _acts(character) else character for character in text)


def shown(text: str, name: Name = "stdout") -> str:
    """Make a text safe to look at, and such that the stream can show it."""
    text, encoding = visible(text), encoding_of(name)
    if _fits(text, encoding):
        return text
    return "".join(
        character if _fits(character, encoding) else _PLAIN.get(character) or _written_out(character)
        for character in text
    )


def cells(text: str) -> int:
    """Count the columns of a terminal that a text takes: two for a full-width character, none for what joins one."""
    return sum(
        0 if unicodedata.combining(character) else 1 + (unicodedata.east_asian_width(character) in "FW")
        for character in text
    )


def broken(text: str, width: int) -> list[str]:
    """Break a text into lines of so many columns, at blanks and between full-width characters; at least one line."""
    lines = [""]
    for part in _PARTS.findall(text):
        if lines[-1] and cells(lines[-1] + part.rstrip()) > width:
            lines.append("")
        lines[-1] += part
    return lines


def write(text: str, name: Name = "stdout") -> str:
    """Write what is safe already. Where that is impossible it is lost, and the verb goes on.

    Returns why, where somebody is to be told of it: not a reader who has had enough, and each stream once.
    """
    problem = _write(text, name)
    return "" if problem is None or problem.errno == errno.EPIPE else str(problem.strerror)


def document(value: Any) -> None:
    """Print JSON for machines, each character that acts on a terminal as JSON escapes it. It is whole, or a Failure."""
    told = json.dumps(value, ensure_ascii=not _fits("中", encoding_of("stdout")), indent=2)
    _whole("\n".join("".join(_json(c) if _acts(c) else c for c in part) for part in told.split("\n")) + "\n")


def record(value: Any) -> bool:
    """Print one JSON object in a line of its own, whole or a Failure; tell whether somebody reads it still."""
    told = json.dumps(value, ensure_ascii=not _fits("中", encoding_of("stdout")))
    return _whole("".join(_json(c) if _acts(c) else c for c in told) + "\n")


def data(text: str) -> None:
    """Print what a program reads, such as SQL, whole or a Failure: into a pipe as it is, on a terminal safe to see."""
    if is_terminal("stdout") or not _fits(text, encoding_of("stdout")):
        text = "\n".join("\t".join(map(shown, part.split("\t"))) for part in text.split("\n"))
    _whole(text)


def line(text: str) -> bool:
    """Print a line of what goes on, safe already, whole or a Failure; tell whether somebody reads it still."""
    return _whole(f"{text}\n")


def answer() -> str:
    """Read what somebody types in answer to a question; an end of the input is an empty answer."""
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        write("\n")
    return answer.strip()


def can_ask() -> bool:
    """Is somebody there to be asked?"""
    return sys.stdin is not None and sys.stdin.isatty()


def is_terminal(name: Name) -> bool:
    stream = getattr(sys, name)
    return stream is not None and not stream.closed and stream.isatty()


def encoding_of(name: Name) -> str:
    return getattr(getattr(sys, name), "encoding", None) or "utf-8"


def forgive() -> None:
    """Have what others print (Invoke, Python) written as well as the streams can show it."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _whole(text: str) -> bool:
    problem = _write(text, "stdout")
    if problem and problem.errno != errno.EPIPE:
        raise Failure(
            say("standard output cannot be written: %s", str(problem.strerror)), remedy=remedies.WRITE_ELSEWHERE
        )
    return problem is None


def _write(text: str, name: Name) -> OSError | None:
    stream = getattr(sys, name)
    if stream is None or stream.closed:
        return None
    try:
        stream.write(text)
        stream.flush()
    except OSError as error:
        # What is left in the stream would fail once more at the end, and change the exit code.
        with contextlib.suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return error
    return None


def _acts(character: str) -> bool:
    return character in _BLANK or not (character.isprintable() or unicodedata.category(character) == "Zs")


def _written_out(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def _json(character: str) -> str:
    return json.dumps(character).strip('"')


def _fits(text: str, encoding: str) -> bool:
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return False
    return True
