"""Run one command in the container, as root."""

from __future__ import annotations

import contextlib
import fcntl
import os
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from io import BufferedReader
from typing import Any, cast

from deploy.inside.message import ExpectedError, message
from deploy.inside.record import write_whole
from deploy.inside.wire import ask_no_more, one_line, raw

# By its name the module and the function of each: what a command does not need takes no time.
COMMANDS = {
    "inspect": "look.inspect",
    "list": "listing.listing",
    "bring": "copying.bring",
    "save": "copying.save",
    "apply": "copying.apply",
    # The other parts of bring, each by itself.
    "scan": "copying.scan",
    "stage": "staging.stage",
    "undo": "before.undo",
    "discard": "staging.discard",
    "settle": "proving.settle",
    "prove": "proving.prove",
    "clean": "cleaning.clean",
    "replace": "replacing.replace",
    "await": "awaiting.await_programs",
    "install": "installing.install",
    "uninstall": "installing.uninstall",
    "maintain": "maintaining.maintain",
    "unmaintain": "maintaining.unmaintain",
    "pack": "shipping.pack",
    "ship": "shipping.ship",
    "unship": "shipping.unship",
    "query": "database.query",
    "connection": "database.connection",
    "dump": "dumping.dump",
    "check": "dumping.check",
    "place": "dumping.place",
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


def function_of(command: str) -> Callable[[dict[str, Any], BufferedReader], None]:
    module, name = COMMANDS[command].split(".")
    found: Callable[[dict[str, Any], BufferedReader], None] = getattr(import_module(f"deploy.inside.{module}"), name)
    return found


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
            function_of(command)(settings, cast("BufferedReader", sys.stdin.buffer))
        sys.stdout.flush()
    except (ExpectedError, OSError) as error:
        told = message("%s: %s", command, one_line(error))
        sys.stderr.buffer.write(told.encode("utf-8", "backslashreplace") + b"\n")
        sys.exit(1)
