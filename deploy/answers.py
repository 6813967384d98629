"""The one place where an answer of a host that is not understood becomes something to tell."""

from collections.abc import Iterator
from contextlib import contextmanager

from deploy import remedies
from deploy.errors import Failure


@contextmanager
def understood(answer: str, whose: str) -> Iterator[None]:
    """Read a host's answer here: one that is odd, in whatever way, is a Failure that shows its first lines."""
    try:
        yield
    except Failure:
        raise
    except Exception as error:
        raise Failure(
            f"{whose} was not understood", evidence=first_lines(answer) or ("it is empty",), remedy=remedies.RUN_AGAIN
        ) from error


def first_lines(said: str, count: int = 3, longest: int = 200) -> tuple[str, ...]:
    """Keep the first lines of something odd, as evidence."""
    lines = (line.strip() for line in said.splitlines())
    return tuple(line if len(line) <= longest else f"{line[:longest]}…" for line in lines if line)[:count]
