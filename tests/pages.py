"""The pages for people, and the commands that they give."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGES = sorted(
    str(page.relative_to(ROOT)) for page in (*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")) if page.name != "CHANGELOG.md"
)
ENGLISH = [name for name in PAGES if not name.endswith(".zh.md")]


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def told(text: str) -> list[str]:
    """Give the commands in a text: whole lines of a block, and what stands in backticks."""
    found = re.findall(r"`(inv [^-`][^`]*)`|^(?:.*\.venv/bin/)?(inv [^-].*)$", text, re.MULTILINE)
    return [(inline or line).partition(" && ")[0] for inline, line in found]


def commands() -> set[str]:
    """Give every command of the pages, without its target."""
    return {re.sub(" --target [a-z]+", "", one) for name in ENGLISH for one in told(read(name))}
