"""What a host says or does instead of running our script, and what that means."""

from deploy import remedies
from deploy.answers import first_lines
from deploy.errors import Failure
from deploy.message import Printed, Told, say

# A shell that took our stdin for its commands ends with this; a shell that finds no such program, with that.
KNOCKED, NOT_FOUND = 97, 127


def waits(label: Told, seconds: float, said: bytes) -> Failure:
    """Say that nothing of ours began in time."""
    fact = say(
        "%s did not come to our script within %s s: its login files wait for something, or read stdin",
        label,
        f"{seconds:g}",
    )
    return Failure(fact, evidence=_first_lines(said), remedy=remedies.STOP_LOGIN_FILES)


def refuses(label: Told, status: int, said: bytes, complained: bytes) -> Failure:
    """Say why a login ended before our script, by how it ended and what it wrote."""
    evidence = _first_lines(complained + b"\n" + said)
    if status == KNOCKED:
        fact = say("the login files of %s start another shell, which reads what is meant for our script", label)
        return Failure(fact, evidence=evidence, remedy=remedies.STOP_LOGIN_FILES)
    if status == NOT_FOUND:
        return Failure(say("there is no bash on %s", label), evidence=evidence, remedy=remedies.INSTALL_BASH)
    if b"restricted" in complained:
        fact = say("the login shell of %s is a restricted one", label)
        return Failure(fact, evidence=evidence, remedy=remedies.FREE_SHELL)
    if evidence:
        fact = say("%s does not run our script; instead it says: %s", label, evidence[0])
    else:
        fact = say("%s does not run our script; it ends with status %s and says nothing", label, status)
    return Failure(fact, evidence=evidence[1:], remedy=remedies.SEE_LOGIN)


def _first_lines(said: bytes) -> tuple[Printed, ...]:
    return first_lines(said.decode("utf-8", "replace"))
