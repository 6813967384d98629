"""The only place that quotes and combines shell words, and that reads what our scripts answer.

Scripts answer in records: one line each, fields separated by tabs; in a field, backslash, tab, newline and
carriage return stand as \\\\, \\t, \\n and \\r. `record` writes one, in common.sh and here; `records` reads them.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from importlib.resources import files

# What a script is told: texts and numbers as themselves, a sequence as an array, True as 1, False as nothing.
Variable = str | int | Sequence[str]

_ESCAPES = {"\\\\": "\\", "\\t": "\t", "\\n": "\n", "\\r": "\r"}
_ESCAPED = str.maketrans({character: escape for escape, character in _ESCAPES.items()})


def sh(*words: str) -> str:
    """Join words to one command, each quoted where it has to be."""
    return shlex.join(words)


def assign(**variables: Variable) -> str:
    """Set Bash variables."""
    return "".join(f"{name}={_value(value)}\n" for name, value in variables.items())


def script(*sources: str, **variables: Variable) -> str:
    """Build a Bash script: the variables, the shared functions, then the named files in order."""
    parts = [source(name) for name in ("common.sh", *sources)]
    return assign(**variables) + "".join(parts)


def source(name: str) -> str:
    """Read a .sh file that runs on the host, `steps/NAME` or one of scripts/."""
    folder = files("deploy") if "/" in name else files("deploy").joinpath("scripts")
    return folder.joinpath(name).read_text(encoding="utf-8")


def records(text: str) -> Iterator[tuple[str, ...]]:
    """Read records; a last line without its newline was cut off and is left out."""
    return map(fields, text.split("\n")[:-1])


def fields(line: str) -> tuple[str, ...]:
    """Read one record, without its newline."""
    return tuple(re.sub(r"\\.", lambda found: _ESCAPES.get(found[0], found[0]), field) for field in line.split("\t"))


def record(*fields: str) -> str:
    """Write one record, without its newline."""
    return "\t".join(field.translate(_ESCAPED) for field in fields)


def _value(value: Variable) -> str:
    match value:
        case bool():
            return "1" if value else ""
        case str():
            return shlex.quote(value)
        case int():
            return str(value)
        case _:
            return f"({shlex.join(value)})"
