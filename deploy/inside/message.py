"""What a person will read: a format and its values, packed into one line as deploy/message.py reads it.

That module stays outside: these are sent into the container alone.
"""

from __future__ import annotations

import sys

MARK = "\x1fsay:"
# Stands for the format of a list, which has none of its own.
LIST = ","
_ESCAPED = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})


class ExpectedError(Exception):
    """What the operator should read: a message."""

    def __init__(self, format: str, *values: object) -> None:
        super().__init__(message(format, *values))


def message(format: str, *values: object) -> str:
    """Pack a format, which is a literal, and its values, which may be messages."""
    return MARK + "\t".join(str(field).translate(_ESCAPED) for field in (format, *values))


def counted(number: int, one: str, many: str) -> str:
    """Count something: `one` is the format for 1, `many` that for another number; both are literals."""
    return message(one if number == 1 else many, number)


def say(format: str, *values: object) -> None:
    """Say it at once: whoever follows the run waits for it."""
    sys.stdout.buffer.write(message(format, *values).encode("utf-8", "backslashreplace") + b"\n")
    sys.stdout.flush()
