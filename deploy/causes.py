"""Known causes of a failure, by what the lines that show it say, each with the next move."""

import re
from collections.abc import Sequence

_CAUSES = (
    (
        r"ModuleNotFoundError: No module named '([\w.]+)'",
        "{0} is not installed in the image: if the release needs it, rebuild the image (standard deployment)",
    ),
    (
        r"Can't locate revision identified by '(\w+)'",
        "the code does not know the database's revision {0}: deploy the release that has it, or inv migrate --stamp",
    ),
    (r"Address already in use", "another process holds the port: see ss -ltnp on the host and in the container"),
    (r"No space left on device", "the disk is full: see df -h on the host, then docker system df"),
    (r"(?:SyntaxError|IndentationError|TabError): .*", "mend the file named above and publish it"),
)
_FILE = re.compile(r'File "(.+?)", line (\d+)')


def remedy(lines: Sequence[str]) -> str:
    """Say what to do about the first known cause in the lines; nothing where none is known."""
    text = "\n".join(lines)
    for pattern, told in _CAUSES:
        if found := re.search(pattern, text):
            return told.format(*found.groups())
    return ""


def place(lines: Sequence[str]) -> str:
    """Name file and line of a syntax error, the last place that the traceback names; else nothing."""
    text = "\n".join(lines)
    found = _FILE.findall(text) if re.search("SyntaxError|IndentationError|TabError", text) else []
    return f"{found[-1][0]}, line {found[-1][1]}" if found else ""
