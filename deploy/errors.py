"""What a user meets when something is wrong: the fact, the evidence, the next move, the exit code."""

from enum import IntEnum

from deploy.message import Message, Told


class Exit(IntEnum):
    """Exit codes, documented in docs/exit-codes.md and stable."""

    DONE = 0
    FAILED = 1
    USAGE = 2
    REFUSED = 3
    LOCKED = 4
    UNDONE = 5
    UNDONE_ILL = 6
    FOUND = 7
    INTERRUPTED = 130


class Failure(Exception):
    """Anything a verb ends with that is not success.

    `fact` says in one sentence what is wrong, `evidence` shows it (one line each, without secrets),
    `remedy` is what to do next.
    """

    def __init__(
        self, fact: Message, *, evidence: tuple[Told, ...] = (), remedy: Told | None = None, code: Exit = Exit.FAILED
    ) -> None:
        super().__init__(fact)
        self.fact = fact
        self.evidence = evidence
        self.remedy = remedy
        self.code = code
