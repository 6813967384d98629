"""Wording: the text of a message, in the operator's language. Only report.py asks for it."""

import re
from collections.abc import Callable, Sequence

from deploy.message import Message, Told, Value

# A translation that needs another order of values numbers its places.
_PLACE = re.compile(r"%(?:([0-9]+)\$)?[s%]")
# Gives the format of a language for one in English; none while that is spoken.
Catalogue = Callable[[str], str]
_spoken: Catalogue | None = None


def speak(catalogue: Catalogue | None) -> None:
    """Have every text from now on in the language of a catalogue, or in English."""
    global _spoken
    _spoken = catalogue


def translated(format: str) -> str:
    # gettext answers with its header when it is asked for nothing.
    return _spoken(format) if _spoken and format else format


def text(told: Told) -> str:
    """Put the values where the format has its places; one that is missing leaves its place empty."""
    return _text(told, translated)


def text_of(told: Told, language: Catalogue) -> str:
    """Give the text in a language, whichever is spoken."""
    return _text(told, language)


def english(told: Told) -> str:
    """Give the text that programs read, which is the same in every language."""
    return _text(told, str)


def _text(told: Told, language: Catalogue) -> str:
    if not isinstance(told, Message):
        return told
    values = [_text_of(value, language) for value in told.values]
    following = iter(values)

    def value(place: re.Match[str]) -> str:
        if place[0] == "%%":
            return "%"
        return next(following, "") if place[1] is None else "".join(values[int(place[1]) - 1 : int(place[1])])

    return _PLACE.sub(value, language(told.format))


def _text_of(value: Value, language: Catalogue) -> str:
    match value:
        case Message():
            return _text(value, language)
        case str():
            return value
        case Sequence():
            return language(", ").join(_text_of(one, language) for one in value)
        case _:
            return str(value)
