"""Say lists, numbers and exit statuses in words."""

import signal

FIRST_NAMES = 5


def names(items: tuple[str, ...]) -> str:
    """Name the first few and count the rest."""
    shown = ", ".join(items[:FIRST_NAMES])
    rest = len(items) - FIRST_NAMES
    return f"{shown} and {rest} more" if rest > 0 else shown


def plural(number: int, noun: str) -> str:
    """Count something in words: 1 commit, 2 commits."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def ended(status: str) -> str:
    """Say how a program ended by its exit status: ended with status 137 (killed)."""
    told = f"ended with status {status}" if status else "ended"
    number = int(status) - 128 if status.isascii() and status.isdigit() and len(status) < 4 else 0
    if number in signal.valid_signals() and (name := signal.strsignal(number)):
        return f"{told} ({name.lower()})"
    return told
