"""Say lists and numbers in words."""

FIRST_NAMES = 5


def names(items: tuple[str, ...]) -> str:
    """Name the first few and count the rest."""
    shown = ", ".join(items[:FIRST_NAMES])
    rest = len(items) - FIRST_NAMES
    return f"{shown} and {rest} more" if rest > 0 else shown


def plural(number: int, noun: str) -> str:
    """Count something in words: 1 commit, 2 commits."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
