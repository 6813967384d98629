"""Dump an app's SQLite database, and check a dump of it. Nothing of the app is run, so that this is done as root."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
from collections.abc import Iterator
from io import BufferedReader
from typing import Any

from deploy.inside.database import carry_out, sqlite_file
from deploy.inside.message import ExpectedError
from deploy.inside.sqlite import opened
from deploy.inside.wire import ask


def dump(settings: dict[str, Any], _: BufferedReader) -> None:
    """Print a copy of the database as it is at one moment, whoever writes to it meanwhile."""
    with copy(settings) as file:
        with opened(sqlite_file(settings)) as database, opened(file, "rwc") as other:
            database.backup(other)
        with open(file, "rb") as stream:
            shutil.copyfileobj(stream, sys.stdout.buffer)


def check(settings: dict[str, Any], stream: BufferedReader) -> None:
    """Read SQL up to an empty line, then a dump: prove that it is whole, and print what it answers, as `query` does."""
    questions = list(iter(stream.readline, b"\n"))
    with copy(settings) as file:
        with open(file, "wb") as written:
            shutil.copyfileobj(stream, written)
        with opened(file, "rw") as database:
            problems = [row[0] for row in database.execute("pragma integrity_check")]
            if problems != ["ok"]:
                raise ExpectedError("%s", problems[0])
            carry_out(database.execute, questions)


def place(settings: dict[str, Any], _: BufferedReader) -> None:
    """Print where the database's file is, a line each: path, owner, group and mode."""
    file = sqlite_file(settings)
    status = os.stat(file)
    for word in (file, str(status.st_uid), str(status.st_gid), format(status.st_mode & 0o777, "o")):
        ask(word)


@contextlib.contextmanager
def copy(settings: dict[str, Any]) -> Iterator[str]:
    """Name a file of ours for a copy of the database, and leave nothing of it, nor of one that a killed run left."""
    file = os.path.join(settings["record"], "dump")
    discard(file)
    try:
        os.umask(0o077)
        yield file
    finally:
        discard(file)


def discard(file: str) -> None:
    for end in ("", "-journal", "-wal", "-shm"):
        with contextlib.suppress(FileNotFoundError):
            os.remove(file + end)
