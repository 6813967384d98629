"""The file of an app's SQLite database: where it is, and how it is opened."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import urllib.parse
from collections.abc import Iterator
from typing import Any

from deploy.inside.message import ExpectedError
from deploy.inside.processes import processes

# Seconds to wait for who writes to it; for a connection to other databases, too.
PATIENCE = 10


def file_of(settings: dict[str, Any], url: str) -> str:
    """Find it by its URL, as Flask-SQLAlchemy or SQLAlchemy take that, or by the settings where there is none."""
    if not url:
        return existing([settings["database"]["name"]])
    found = re.match(r"sqlite(?:\+\w+)?:///(?:file:)?([^?]+)", url)
    if not found or found[1] == ":memory:":
        raise ExpectedError("the URL in %s names no file of SQLite", settings["database"]["url"])
    folders = [os.path.join(settings["app"], "instance"), settings["app"], *working_folders(settings)]
    return existing([os.path.join(folder, found[1]) for folder in folders])


def existing(files: list[str]) -> str:
    """Give the first that is there, by its own name."""
    there = next(filter(os.path.isfile, files), None)
    if there is None:
        raise ExpectedError("no file %s", files[0])
    return os.path.realpath(there)


def working_folders(settings: dict[str, Any]) -> Iterator[str]:
    for process in processes(settings["server"].encode()):
        with contextlib.suppress(OSError):
            yield os.readlink(f"/proc/{process.pid}/cwd")


@contextlib.contextmanager
def opened(file: str, mode: str = "ro") -> Iterator[sqlite3.Connection]:
    """Open it, by default to read it."""
    place = f"file:{urllib.parse.quote(file)}?mode={mode}"
    try:
        with contextlib.closing(sqlite3.connect(place, uri=True, timeout=PATIENCE, isolation_level=None)) as database:
            yield database
    except sqlite3.Error as error:
        raise ExpectedError("%s: %s", file, str(error)) from None
