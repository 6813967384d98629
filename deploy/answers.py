"""The one place where an answer that is not understood, or an error, becomes something to tell."""

from collections.abc import Iterator
from contextlib import contextmanager

from deploy import remedies
from deploy.errors import Failure
from deploy.message import Message, Printed, Told, say


@contextmanager
def understood(answer: str, whose: Message) -> Iterator[None]:
    """Read a host's answer here: one that is odd, in whatever way, is a Failure that shows its first lines."""
    try:
        yield
    except Failure:
        raise
    except Exception as error:
        raise Failure(
            say("%s was not understood", whose),
            evidence=first_lines(answer) or (say("it is empty"),),
            remedy=remedies.RUN_AGAIN,
        ) from error


def said_by(error: BaseException) -> Told:
    """Give what an error says: our message where it was raised with one, else a program's words."""
    said = error.args[0] if error.args else None
    return said if isinstance(said, Message) else Printed(str(error))


def first_lines(said: str, count: int = 3, longest: int = 200) -> tuple[Printed, ...]:
    """Keep the first lines of something odd, as evidence."""
    lines = (line.strip() for line in said.splitlines())
    cut = (line if len(line) <= longest else f"{line[:longest]}…" for line in lines if line)
    return tuple(map(Printed, cut))[:count]
