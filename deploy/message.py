"""Message: what a person will read, as a format and its values from where it is born to where it is shown.

The format is the message's identity. What other programs printed is no message but `Printed`. Scripts, the program in
the container and the journal write a message as one field, `pack` tells how; nothing but wording.py makes text of it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NewType, Union

from deploy import shell

# A text of somebody else: a line of a program's output, a name, a path.
Printed = NewType("Printed", str)
# A sequence is told as a list. A number keeps the form that it has as text.
Value = Union[str, int, float, "Message", Sequence["Value"]]

# What a packed message begins with. Nothing that a program prints begins so by chance, and nothing that reads lines
# ends one at this sign, as str.splitlines does at the one before it.
MARK = "\x1fsay:"


@dataclass(frozen=True)
class Message:
    """A format in English, with a %s for each of its values and %% for a per cent sign; neither tab nor backslash."""

    format: str
    values: tuple[Value, ...] = ()


# What is shown of a situation: our words, or a program's.
Told = Message | Printed
NOTHING = Printed("")


def say(format: str, *values: Value) -> Message:
    """Make a message; the format is a literal, so that the formats can be listed."""
    return Message(format, values)


def counted(number: int, one: str, many: str) -> Message:
    """Count something: `one` is the format for 1, `many` that for another number; both are literals."""
    return Message(one if number == 1 else many, (number,))


def pack(told: Told) -> str:
    """Write a message as one field: MARK and a record of its format and values, packed in their turn."""
    if not isinstance(told, Message):
        return told
    return MARK + shell.record(told.format, *map(_packed, told.values))


def unpack(field: str) -> Told:
    """Read a field: a message where it is packed as one, else what was printed."""
    if not field.startswith(MARK):
        return Printed(field)
    format, *values = shell.fields(field.removeprefix(MARK))
    return Message(format, tuple(map(_unpacked, values)))


def _packed(value: Value) -> str:
    match value:
        case Message():
            return pack(value)
        case str() | int() | float():
            return str(value)
        case _:
            return pack(Message(LIST, tuple(value)))


def _unpacked(value: str) -> Value:
    told = unpack(value)
    return told.values if isinstance(told, Message) and told.format == LIST else told


# Stands for the format of a list, which has none of its own.
LIST = ","
