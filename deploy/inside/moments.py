"""When a line of a log was written, by the usual forms: seconds since the epoch.

A time without a zone is in the zone of whoever asks: of the container, where its files are read.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone

_NAMES = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_MONTHS = {name: number for number, name in enumerate(_NAMES, 1)}
_CLOCK = rb"(?P<clock>\d\d:\d\d:\d\d)(?:[.,](?P<fraction>\d{1,9}))?"
# ISO 8601, with the blank, the comma and the zones that Gunicorn, Supervisor and databases have; Nginx's errors.
_DATE = rb"(?P<year>\d{4})[-/](?P<month>\d\d)[-/](?P<day>\d\d)[T ]" + _CLOCK + rb" ?(?P<zone>Z|UTC|[+-]\d\d:?\d\d)?"
_NAMED = rb"(?P<day>\d\d)[ /](?P<month>[A-Z][a-z]{2})[ /](?P<year>\d{4})"
_FORMS = tuple(
    map(
        re.compile,
        (
            # At the line's beginning, at most after a bracket or a level.
            rb"(?:\W?[A-Z]{4,8}\W{1,4}|[\[(<\"]?)" + _DATE,
            # An access log has who asks before it.
            rb"[^\[\]\"]{1,300}\[" + _NAMED + rb":" + _CLOCK + rb" (?P<zone>[+-]\d{4})\]",
            # Redis has its process before it.
            rb"\d+:[A-Z] " + _NAMED + rb" " + _CLOCK + rb"(?P<zone>)",
            # An object of JSON a line.
            rb"\{.{0,2000}?\"(?:@?timestamp|time|ts|asctime|datetime)\" ?: ?\"" + _DATE,
        ),
    )
)


def moment(line: bytes, here: timezone | None = None) -> float | None:
    """Tell when a line was written; None where it does not say, as a line that goes on with the one before it.

    `here` is the zone of times without one.
    """
    for form in _FORMS:
        found = form.match(line)
        if found:
            return _seconds({name: told.decode("ascii") for name, told in found.groupdict().items() if told}, here)
    return None


def _seconds(told: dict[str, str], here: timezone | None) -> float | None:
    named = told["month"]
    month = int(named) if named.isdigit() else _MONTHS.get(named, 0)
    hour, minute, second = map(int, told["clock"].split(":"))
    micro = int(told.get("fraction", "0").ljust(6, "0")[:6])
    try:
        # A leap second has no moment of its own.
        when = datetime(int(told["year"]), month, int(told["day"]), hour, minute, min(second, 59), micro)
        return when.replace(tzinfo=zone(told.get("zone", "")) or here).timestamp()
    except (ValueError, OverflowError, OSError):
        return None


def zone(told: str) -> timezone | None:
    """Read a zone such as +0800; None where none is told."""
    if told in ("Z", "UTC"):
        return timezone.utc  # noqa: UP017 - Python 3.9 has no other name for it
    if not told:
        return None
    hours, minutes = int(told[1:3]), int(told[-2:])
    return timezone((-1 if told[0] == "-" else 1) * timedelta(hours=hours, minutes=minutes))
