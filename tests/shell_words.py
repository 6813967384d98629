"""Shell scripts, read as far as to tell the commands in them and the words that these are given."""

import re
from collections.abc import Iterator

# What ends a command's words where it stands outside of quotes, and what goes with a word to be passed over.
_ENDS = set(";|&)}\n")
_COMMENT = re.compile(r"(?:(?<=\s)|^)#.*$", re.MULTILINE)
_EXPANSION = re.compile(r"\$(?:\{[^{}]*\}|\w+|[@*#?!$-])")


def without_comments(source: str) -> str:
    return re.sub(r"^\s*#.*$", "", source, flags=re.MULTILINE)


def calls(source: str, *names: str) -> Iterator[tuple[int, str, list[str]]]:
    """Give each call of these functions: its line, its name, its words as they are written."""
    for found in re.finditer(rf"(?<![\w$./'-])({'|'.join(names)})(?= [^)=])", source):
        yield source.count("\n", 0, found.start()) + 1, found[1], words(source, found.end())


def words(source: str, at: int) -> list[str]:
    """Read the words that follow, up to the end of the command."""
    found: list[str] = []
    while True:
        while source.startswith((" ", "\\\n"), at):
            at += 2 if source[at] == "\\" else 1
        if at >= len(source) or source[at] in _ENDS or source.startswith((">", "<<<", "2>"), at):
            return found
        end = word_end(source, at)
        found.append(source[at:end])
        at = end


def word_end(source: str, at: int) -> int:
    while at < len(source) and source[at] not in _ENDS | {" "}:
        at = piece_end(source, at)
    return at


def piece_end(source: str, at: int) -> int:
    """Find where a quoted text, an expansion or a plain character ends."""
    for start, close in (("$'", "'"), ("'", "'"), ('"', '"'), ("$(", ")"), ("${", "}")):
        if source.startswith(start, at):
            return closed(source, at + len(start), close, plain=close == "'")
    return at + (2 if source[at] == "\\" else 1)


def closed(source: str, at: int, close: str, *, plain: bool) -> int:
    """Find what closes a text that is open, past all that is nested in it."""
    while source[at] != close:
        if plain or (close == '"' and source[at] not in '"$\\'):
            at += 1
        elif close != '"' and source[at] == "(":
            at = closed(source, at + 1, ")", plain=False)
        else:
            at = piece_end(source, at)
    return at + 1


def literal(word: str) -> str:
    """Give what a word says by itself, without what is put in for it."""
    text = re.sub(r"\$\(\(.*?\)\)", "", word)
    while "$(" in text:
        at = text.index("$(")
        text = text[:at] + text[closed(text, at + 2, ")", plain=False) :]
    for _ in range(3):
        text = _EXPANSION.sub("", text)
    return text


def quoted(source: str, *, within: bool = False) -> Iterator[str]:
    """Give every quoted text, those in what is put in for a part of another too; `within` one a quote is none."""
    at = 0
    while at < len(source):
        plain = within and source[at] != "$"
        end = at + 1 if plain else piece_end(source, at)
        piece = source[at:end]
        if piece[0] in "'\"" and len(piece) > 1:
            yield piece
        if len(piece) > 2 and piece.startswith(("$(", '"')):
            yield from quoted(piece[2:-1] if piece[0] == "$" else piece[1:-1], within=piece[0] == '"')
        at = end
