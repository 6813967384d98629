"""Say lists and exit statuses in words, and know a word that was mistyped."""

import difflib
import signal
from collections.abc import Iterable, Sequence
from functools import reduce

from deploy.message import Message, Told, Value, say

FIRST_NAMES = 5
# How like a word that is known has to be, from 0 to 1, to be the one that was meant.
_LIKE = 0.65

# The statuses of a step at which a run ends because somebody decided so.
DECIDED = ("0", "143")


def names(items: Sequence[Value]) -> Value:
    """Name the first few and count the rest."""
    rest = len(items) - FIRST_NAMES
    return say("%s and %s more", tuple(items[:FIRST_NAMES]), rest) if rest > 0 else tuple(items)


def joined(told: Iterable[Told]) -> Told:
    """Say one thing after the other, at least one, with semicolons between them."""
    return reduce(lambda one, other: say("%s; %s", one, other), told)


def similar(name: str, known: Iterable[str]) -> str:
    """Give the one of what is known that was probably meant by a name; empty where none is like it."""
    known = tuple(known)
    begun = [one for one in known if one.startswith(name.lower())]
    close = begun if len(begun) == 1 else difflib.get_close_matches(name.lower(), known, n=1, cutoff=_LIKE)
    return close[0] if close else ""


def ended(status: str) -> Message:
    """Say how a program ended by its exit status: ended with status 137 (killed)."""
    if not status:
        return say("ended")
    number = int(status) - 128 if status.isascii() and status.isdigit() and len(status) < 4 else 0
    if number in signal.valid_signals() and (name := signal.strsignal(number)):
        return say("ended with status %s (%s)", status, name.lower())
    return say("ended with status %s", status)
