"""How far a long piece of work is, told while it goes on: less often the longer it takes, as a dump's growth is."""

from __future__ import annotations

import sys
import time

from deploy.inside.message import message
from deploy.inside.wire import MIB

# Seconds before the first time, and the longest pause after it.
FIRST, LONGEST = 1.0, 60.0


class Pace:
    """Counts the files of a piece of work that go through `what` it says, `all` of them, and their bytes.

    It tells of them on stderr: stdout may be the answer to the host.
    """

    def __init__(self, what: str, all: int) -> None:
        self._what, self._all = what, all
        self._files, self.size = 0, 0
        self._pause, self._due = FIRST, time.monotonic() + FIRST

    def count(self, size: int = 0) -> None:
        """Count a file, with its bytes where they were read or written."""
        self._files += 1
        self.size += size
        now = time.monotonic()
        if now < self._due or self._files == self._all:
            return
        self._pause = min(self._pause * 2, LONGEST)
        self._due = now + self._pause
        told = message("%s of %s files", self._files, self._all)
        told = message("%s, %s", told, amount(self.size)) if self.size else told
        sys.stderr.buffer.write(message("%s: %s", self._what, told).encode() + b"\n")
        sys.stderr.flush()


def amount(size: int) -> str:
    """Say how much some bytes are."""
    return message("%s KiB", -(-size // 1024)) if size < MIB else message("%s MiB", f"{size / MIB:.1f}")
