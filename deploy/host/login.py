"""What a host says or does instead of running our script, and what that means."""

from deploy import remedies
from deploy.answers import first_lines
from deploy.errors import Failure

# A shell that took our stdin for its commands ends with this; a shell that finds no such program, with that.
KNOCKED, NOT_FOUND = 97, 127


def waits(label: str, seconds: float, said: bytes) -> Failure:
    """Say that nothing of ours began in time."""
    fact = f"{label} did not come to our script within {seconds:g} s: its login files wait for something, or read stdin"
    return Failure(fact, evidence=_first_lines(said), remedy=remedies.STOP_LOGIN_FILES)


def refuses(label: str, status: int, said: bytes, complained: bytes) -> Failure:
    """Say why a login ended before our script, by how it ended and what it wrote."""
    evidence = _first_lines(complained + b"\n" + said)
    if status == KNOCKED:
        fact = f"the login files of {label} start another shell, which reads what is meant for our script"
        return Failure(fact, evidence=evidence, remedy=remedies.STOP_LOGIN_FILES)
    if status == NOT_FOUND:
        return Failure(f"there is no bash on {label}", evidence=evidence, remedy=remedies.INSTALL_BASH)
    if b"restricted" in complained:
        fact = f"the login shell of {label} is a restricted one"
        return Failure(fact, evidence=evidence, remedy=remedies.FREE_SHELL)
    told = f"instead it says: {evidence[0]}" if evidence else f"it ends with status {status} and says nothing"
    return Failure(f"{label} does not run our script; {told}", evidence=evidence[1:], remedy=remedies.SEE_LOGIN)


def _first_lines(said: bytes) -> tuple[str, ...]:
    return first_lines(said.decode("utf-8", "replace"))
