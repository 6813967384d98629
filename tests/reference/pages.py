"""The pages with parts that are made, written in each language."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from tests import catalogue
from tests.reference import events, marked, settings
from tests.reference.comments import Comments

ROOT = Path(__file__).resolve().parents[2]
PO = ROOT / "docs" / "reference.zh.po"
SUFFIXES = {"en": ".md", "zh": ".zh.md"}
Translate = Callable[[str], str]


def makers() -> dict[str, Callable[[Translate], str]]:
    """Name the pages, and what makes the part of each."""
    comments = Comments((ROOT / "invoke.yaml").read_text(encoding="utf-8"))
    return {"settings": partial(settings.page, comments), "events": events.page}


def texts() -> dict[str, tuple[str, ...]]:
    """Give every text of the pages, and whose it is."""
    found: dict[str, tuple[str, ...]] = {}

    def hear(page: str, text: str) -> str:
        found.setdefault(text, (f"docs/{page}.md",))
        return text

    for page, make in makers().items():
        make(partial(hear, page))
    return found


def made(lang: str) -> dict[Path, str]:
    """Give the pages of a language as they are to be."""
    known = {str(one.id): str(one.string) for one in catalogue.translations(PO) if one.id and one.string}
    tell: Translate = (lambda text: text) if lang == "en" else (lambda text: known.get(text, text))
    files = {ROOT / "docs" / f"{page}{SUFFIXES[lang]}": make for page, make in makers().items()}
    return {
        file: marked.replaced(file.read_text(encoding="utf-8"), "inv docs", make(tell)) for file, make in files.items()
    }


def write(more: Mapping[str, str]) -> str:
    """Write the pages with these translations too, and tell in what form those are wanted that are missing."""
    new = catalogue.bring(PO, texts(), more)
    for lang in SUFFIXES:
        for file, text in made(lang).items():
            file.write_text(text, encoding="utf-8")
    return catalogue.pasteable([str(one.id) for one in new if one.id and not one.string])
