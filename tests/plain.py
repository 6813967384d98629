"""What was printed, as a person reads it: the text of each packed message in place of it."""

from subprocess import CompletedProcess

from deploy.message import MARK, unpack
from deploy.wording import text


def plain(printed: str) -> str:
    """Put the text in place of every line that is a message; all else stays."""
    return "\n".join(text(unpack(line)) if line.startswith(MARK) else line for line in printed.split("\n"))


def plain_bytes(printed: bytes) -> bytes:
    return plain(printed.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def plain_ended(ended: "CompletedProcess[str]") -> "CompletedProcess[str]":
    """Give what a program printed on both of its streams so."""
    return CompletedProcess(ended.args, ended.returncode, plain(ended.stdout), plain(ended.stderr))
