"""A recording shows what the terminal showed, and its end where nothing may move."""

import re
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.recording import PROMPT, Frame, Part, Terminal, play

DOCS = Path(__file__).resolve().parent.parent / "docs"
SVG = "{http://www.w3.org/2000/svg}"


def test_what_a_terminal_shows_is_kept_with_its_styles() -> None:
    with Terminal("en") as terminal:
        terminal.until(PROMPT)
        terminal.type("clear; printf '\\033[1;32mgood\\033[0m \\033[2mand 中文 so\\033[0m\\n'\n", 0)
        terminal.until(PROMPT)
    first, second, *rest = terminal.frames[-1].lines
    assert first == (
        Part(0, 4, "good", "green bold"),
        Part(5, 3, "and", "dim"),
        Part(9, 4, "中文", "dim"),
        Part(13, 3, " so", "dim"),
    )
    assert second == (Part(0, 1, "$", ""),)
    assert not any(rest)
    assert [frame.at for frame in terminal.frames] == sorted(frame.at for frame in terminal.frames)


def test_a_line_is_seen_for_as_long_as_it_stood_there() -> None:
    command, running, done = (Part(0, len(text), text, "") for text in ("$ inv <x>", "running", "done"))
    frames = [
        Frame(1.0, ((command,), ())),
        Frame(3.0, ((command,), (running,))),
        Frame(5.0, ((command,), (done,))),
    ]
    drawn = play(frames, "A & B")
    svg = ElementTree.fromstring(drawn)
    lines = {"".join(text.itertext()): (text.get("class") or "").split() for text in svg.iter(f"{SVG}text")}
    assert [(line, classes[0]) for line, classes in lines.items()] == [
        ("$ inv <x>", "stays"),
        ("running", "gone"),
        ("done", "stays"),
    ]
    # 8 s of the end follow: 12 s in all.
    rules = dict(re.findall(r"@keyframes (\w+)\{(.*)\}\n", drawn))
    assert {line: rules[classes[1]] for line, classes in lines.items()} == {
        "$ inv <x>": "0.000%{visibility:visible}100%{visibility:visible}",
        "running": "0%{visibility:hidden}16.667%{visibility:visible}33.333%{visibility:hidden}100%{visibility:hidden}",
        "done": "0%{visibility:hidden}33.333%{visibility:visible}100%{visibility:visible}",
    }


def test_nothing_moves_where_the_reader_wants_it_so() -> None:
    drawn = play([Frame(0.0, ((Part(0, 1, "a", ""),),)), Frame(1.0, ((Part(0, 1, "b", ""),),))], "A")
    still, moving = drawn.split("@media (prefers-reduced-motion: no-preference) {", 1)
    assert "animation" not in still
    assert ".gone { visibility: hidden; }" in still
    assert "animation" in moving


@pytest.mark.parametrize("name", ["hot-update.svg", "hot-update.zh.svg"])
def test_what_the_readme_shows_needs_nothing_else_and_ends_well(name: str) -> None:
    drawn = (DOCS / name).read_text(encoding="utf-8")
    ends = ["".join(text.itertext()) for text in ElementTree.fromstring(drawn).iter(f"{SVG}text") if _stays(text)]
    assert ends[-1] == PROMPT.strip()
    assert any("inv rollback --to" in line for line in ends)
    assert re.findall(r"url\(|href|<script|@import", drawn) == []


def _stays(text: ElementTree.Element) -> bool:
    return (text.get("class") or "").startswith("stays")
