"""The pages that are made from the code are as it is now."""

import json
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

import pytest

from tests import catalogue
from tests.reference import marked, pages
from tests.reference.comments import ANY, Comments

YAML = """
# Above all.

# Of the section.
git:
  # In two
  # lines, and
  #   some | code
  remote: origin
  branch: main
restart:
  # programs: are told of
  programs: {}
  # programs:
  #   celery:
  #     # Sent to it.
  #     signal: HUP
checks:
  # Its name.
  - name: nginx
    # Asked.
    url: http://localhost
"""


@pytest.mark.parametrize(
    ("path", "told"),
    [
        (("git",), "Of the section."),
        (("git", "remote"), "In two lines, and `some | code`"),
        (("git", "branch"), ""),
        (("restart", "programs"), "programs: are told of"),
        (("restart", "programs", ANY, "signal"), "Sent to it."),
        (("checks", "-", "name"), "Its name."),
        (("checks", "-", "url"), "Asked."),
    ],
)
def test_a_comment_is_of_the_setting_below_it(path: tuple[str, ...], told: str) -> None:
    assert Comments(YAML).of(path) == told


def test_a_part_is_replaced_and_the_rest_stays() -> None:
    page = "a\n<!-- inv x writes this -->\nold\n<!-- to here -->\nb\n"
    assert marked.replaced(page, "inv x", "new") == page.replace("old", "new")


@pytest.mark.parametrize("lang", pages.SUFFIXES)
def test_the_pages_are_what_inv_docs_writes(lang: str) -> None:
    made: Mapping[Path, str] = pages.made(lang)
    assert [file.name for file, text in made.items() if file.read_text(encoding="utf-8") != text] == [], "run inv docs"


def test_every_text_has_a_translation_and_each_translation_a_text() -> None:
    known = {str(one.id) for one in catalogue.translations(pages.PO) if one.id and one.string and not one.fuzzy}
    assert known == set(pages.texts()), "run inv docs"


@pytest.mark.parametrize("page", ["settings.md", "settings.zh.md"])
def test_every_setting_has_type_default_and_meaning(page: str) -> None:
    text = (pages.ROOT / "docs" / page).read_text(encoding="utf-8")
    rows = [re.split(r" ?(?<!\\)\| ?", line)[1:-1] for line in text.splitlines() if line.startswith("| `")]
    assert len(rows) > 100
    assert [setting for setting, kind, default, _, meaning in rows if not (kind and default and meaning)] == []


def test_every_event_is_on_its_page() -> None:
    schema = json.loads(files("deploy").joinpath("events.schema.json").read_text("utf-8"))
    text = (pages.ROOT / "docs" / "events.md").read_text(encoding="utf-8")
    names = {one["properties"]["event"]["const"] for one in schema["oneOf"]}
    assert names == set(re.findall(r"^\| `([a-z-]+)` \| .* \| `", text, re.MULTILINE))
