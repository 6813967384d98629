"""Known causes of a failure, by what the lines that show it say, each with the next move."""

import re
from collections.abc import Callable, Sequence

from deploy import remedies

# Each with its remedy, which is given what the groups found.
_CAUSES: tuple[tuple[str, Callable[..., str]], ...] = (
    (r"ModuleNotFoundError: No module named '([\w.]+)'", remedies.install_module),
    (r"Can't locate revision identified by '(\w+)'", remedies.deploy_revision),
    (r"no lock within .*held by session (\d+)", remedies.end_session),
    (r"in a read-only transaction|although its sessions were to be read-only", lambda: remedies.LET_PROOF_WRITE),
    (r"unsupported startup parameter", lambda: remedies.ALLOW_OPTIONS),
    (r"Address already in use", lambda: remedies.FREE_PORT),
    (r"No space left on device", lambda: remedies.FREE_DISK),
    (r"(?:SyntaxError|IndentationError|TabError): .*", lambda: remedies.MEND_FILE),
)
_FILE = re.compile(r'File "(.+?)", line (\d+)')


def remedy(lines: Sequence[str]) -> str:
    """Say what to do about the first known cause in the lines; nothing where none is known."""
    text = "\n".join(lines)
    for pattern, told in _CAUSES:
        if found := re.search(pattern, text):
            return told(*found.groups())
    return ""


def place(lines: Sequence[str]) -> str:
    """Name file and line of a syntax error, the last place that the traceback names; else nothing."""
    text = "\n".join(lines)
    found = _FILE.findall(text) if re.search("SyntaxError|IndentationError|TabError", text) else []
    return f"{found[-1][0]}, line {found[-1][1]}" if found else ""
