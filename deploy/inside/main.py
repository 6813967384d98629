"""Run one command in the container, as root."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator
from io import BufferedReader
from typing import Any, cast

from deploy.inside.cleaning import clean
from deploy.inside.copying import apply, save, scan
from deploy.inside.look import inspect
from deploy.inside.wire import ExpectedError, one_line

COMMANDS = {"inspect": inspect, "scan": scan, "save": save, "apply": apply, "clean": clean}


@contextlib.contextmanager
def alone(settings: dict[str, Any]) -> Iterator[None]:
    """Keep out a copy whose host was lost and that still runs: it could write its record over a newer one."""
    os.makedirs(settings["record"], mode=0o700, exist_ok=True)
    descriptor = os.open(settings["record"], os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ExpectedError("an earlier update still works in the container") from None
    try:
        yield
    finally:
        os.close(descriptor)


def main(command: str, settings: dict[str, Any]) -> None:
    os.umask(0o022)
    try:
        with contextlib.nullcontext() if command == "inspect" else alone(settings):
            COMMANDS[command](settings, cast("BufferedReader", sys.stdin.buffer))
        sys.stdout.flush()
    except (ExpectedError, OSError) as error:
        message = str(error) if isinstance(error, ExpectedError) else one_line(error)
        sys.stderr.buffer.write(f"{command}: {message}\n".encode("utf-8", "backslashreplace"))
        sys.exit(1)
