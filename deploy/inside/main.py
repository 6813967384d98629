"""Run one command in the container, as root."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from collections.abc import Iterator
from io import BufferedReader
from typing import Any, cast

from deploy.inside.awaiting import await_programs
from deploy.inside.before import undo
from deploy.inside.cleaning import clean
from deploy.inside.copying import apply, bring, save, scan
from deploy.inside.database import connection, query
from deploy.inside.dumping import check, dump, place
from deploy.inside.installing import install, uninstall
from deploy.inside.listing import listing
from deploy.inside.look import inspect
from deploy.inside.maintaining import maintain, unmaintain
from deploy.inside.message import ExpectedError, message
from deploy.inside.proving import prove, settle
from deploy.inside.record import write_whole
from deploy.inside.replacing import replace
from deploy.inside.shipping import pack, ship, unship
from deploy.inside.staging import discard, stage
from deploy.inside.wire import ask_no_more, one_line, raw

COMMANDS = {
    "inspect": inspect,
    "list": listing,
    "bring": bring,
    "save": save,
    "apply": apply,
    # The other parts of bring, each by itself.
    "scan": scan,
    "stage": stage,
    "undo": undo,
    "discard": discard,
    "settle": settle,
    "prove": prove,
    "clean": clean,
    "replace": replace,
    "await": await_programs,
    "install": install,
    "uninstall": uninstall,
    "maintain": maintain,
    "unmaintain": unmaintain,
    "pack": pack,
    "ship": ship,
    "unship": unship,
    "query": query,
    "connection": connection,
    "dump": dump,
    "check": check,
    "place": place,
}

# These change nothing in the app's folder, and may run while another command does.
BESIDE = ("inspect", "list", "prove", "settle", "query", "connection", "place")

# These ask the host for what they have not got, and say themselves when that is over.
ASKING = ("inspect", "bring", "scan")


@contextlib.contextmanager
def alone(settings: dict[str, Any]) -> Iterator[None]:
    """Keep out a copy whose host was lost and that still runs: it could write its record over a newer one."""
    os.makedirs(settings["record"], mode=0o711, exist_ok=True)
    # The app's user runs new code from a tree in there.
    os.chmod(settings["record"], 0o711)
    descriptor = os.open(settings["record"], os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ExpectedError("an earlier update still works in the container") from None
    try:
        yield
    finally:
        os.close(descriptor)


def main(command: str, settings: dict[str, Any], program: bytes | None) -> None:
    """Run a command; `program` is ourselves as the loader reads us, where the container has not kept us."""
    os.umask(0o022)
    try:
        if command not in ASKING:
            ask_no_more()
        with contextlib.nullcontext() if command in BESIDE else alone(settings):
            if program and command not in BESIDE:
                # A full disk must not keep an undo from its work.
                with contextlib.suppress(OSError):
                    write_whole(raw(settings["record"]), b"program", program)
            COMMANDS[command](settings, cast("BufferedReader", sys.stdin.buffer))
        sys.stdout.flush()
    except (ExpectedError, OSError) as error:
        told = message("%s: %s", command, one_line(error))
        sys.stderr.buffer.write(told.encode("utf-8", "backslashreplace") + b"\n")
        sys.exit(1)
