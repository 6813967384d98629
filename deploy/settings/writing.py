"""Write a settings file: what it is to say by its keys, each with its reason as a comment."""

import textwrap
from collections.abc import Iterable
from typing import Any, NamedTuple

import yaml

WIDTH = 110


class Line(NamedTuple):
    """A key below the sections that it lies in, its value as the file has it, and a comment above it (empty: none)."""

    key: tuple[str, ...]
    value: Any
    comment: str = ""


def write(lines: Iterable[Line], head: str) -> str:
    """Write them in their order; keys of one section stand together where they follow one another."""
    written = [_comment(head, 0)]
    above: tuple[str, ...] = ()
    for line in lines:
        *sections, name = line.key
        same = next((at for at, (one, two) in enumerate(zip(above, sections, strict=False)) if one != two), None)
        begin = min(len(above), len(sections)) if same is None else same
        if begin == 0:
            written.append("\n")
        written += [f"{'  ' * at}{section}:\n" for at, section in enumerate(sections) if at >= begin]
        written += [_comment(line.comment, len(sections)), _value(name, line.value, len(sections))]
        above = tuple(sections)
    return "".join(written)


def _comment(text: str, depth: int) -> str:
    start = "  " * depth + "# "
    wrapped = textwrap.wrap(text, WIDTH, initial_indent=start, subsequent_indent=start, break_long_words=False)
    return "".join(f"{line}\n" for line in wrapped)


def _value(name: str, value: Any, depth: int) -> str:
    # Of several levels the innermost stand in one line.
    told = yaml.safe_dump(
        {name: value}, default_flow_style=None, sort_keys=False, allow_unicode=True, width=WIDTH - 2 * depth
    )
    # Where everything is short, the outermost does so too.
    if told.startswith("{"):
        told = yaml.safe_dump({name: value}, default_flow_style=False, sort_keys=False, allow_unicode=True, width=WIDTH)
    return textwrap.indent(told, "  " * depth)
