"""The comments of a settings file, each by the setting below it; an example that is a comment counts too."""

import re
from collections.abc import Iterator, Sequence

import yaml

# Stands for any name of a mapping, and for any item of a list.
ANY = "*"
Path = tuple[str, ...]


class Comments:
    """What a settings file says of each setting."""

    def __init__(self, text: str) -> None:
        lines = text.splitlines()
        examples = list(_examples(lines))
        self._told = [told for path, example in examples for told in _told(example, path)]
        self._told += _told(lines, ())

    def of(self, wanted: Path) -> str:
        """Give the first comment on a setting of this path, in which ANY may stand; empty: there is none."""
        return next((comment for path, comment in self._told if comment and _fits(path, wanted)), "")


def _fits(path: Path, wanted: Path) -> bool:
    return len(path) == len(wanted) and all(want in (ANY, part) for part, want in zip(path, wanted, strict=True))


def _examples(lines: list[str]) -> Iterator[tuple[Path, list[str]]]:
    """Take the sections that stand as comments, and below which section they do, out of the lines."""
    for number, line in enumerate(lines):
        head = re.fullmatch(r"( *)# [a-z_]+:", line)
        if not head:
            continue
        indent = len(head[1])
        end = number + 1
        while end < len(lines) and lines[end].startswith(" " * indent + "#   "):
            end += 1
        if end == number + 1:
            continue
        section = next((one for one in reversed(lines[:number]) if indent and re.match(r"[a-z_]+:", one)), "")
        yield (section.rstrip(":"),) if section else (), [one[indent + 2 :] for one in lines[number:end]]
        lines[number:end] = [""] * (end - number)


def _told(lines: Sequence[str], below: Path) -> Iterator[tuple[Path, str]]:
    """Give each setting that begins a line, and the comment above it."""
    for path, mark in _keys(yaml.compose("\n".join(lines)), below):
        if not lines[mark.line][: mark.column].strip(" -"):
            yield path, _above(lines, mark.line)


def _keys(node: yaml.Node | None, path: Path) -> Iterator[tuple[Path, yaml.Mark]]:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            yield (*path, key.value), key.start_mark
            yield from _keys(value, (*path, key.value))
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _keys(item, (*path, "-"))


def _above(lines: Sequence[str], number: int) -> str:
    """Join the lines of the comment above a line; one that is indented is code."""
    begin = number
    while begin and lines[begin - 1].lstrip().startswith("#"):
        begin -= 1
    told = (line.lstrip().removeprefix("#").removeprefix(" ") for line in lines[begin:number])
    return " ".join(f"`{line.strip()}`" if line.startswith(" ") else line for line in told)
