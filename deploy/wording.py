"""Wording: the text of a message. Only report.py asks for it, so this is where another language would begin."""

import re
from collections.abc import Sequence

from deploy.message import Message, Told, Value

_PLACE = re.compile("%[s%]")


def text(told: Told) -> str:
    """Put the values where the format has its places; one that is missing leaves its place empty."""
    if not isinstance(told, Message):
        return told
    values = map(_text_of, told.values)
    return _PLACE.sub(lambda place: "%" if place[0] == "%%" else next(values, ""), told.format)


def _text_of(value: Value) -> str:
    match value:
        case Message():
            return text(value)
        case str():
            return value
        case Sequence():
            return ", ".join(map(_text_of, value))
        case _:
            return str(value)
