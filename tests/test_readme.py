"""What the README and the pages below docs/ tell: commands that are right, links that lead somewhere, two languages."""

import re
from pathlib import Path

import pytest

from deploy.errors import Exit
from tests import commands
from tests.pages import ENGLISH, PAGES, ROOT, read, told


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_ci_runs_the_readmes_command_for_the_tests(name: str) -> None:
    command = read(".ci/run").rstrip().splitlines()[-1]
    assert command.endswith("inv test --install")
    assert command in read(name).splitlines()


@pytest.mark.parametrize("name", ["README.md", "README.zh.md"])
def test_the_readme_has_the_command_for_the_main_job(name: str) -> None:
    command = (
        "python3 -m venv .venv && .venv/bin/pip install -e . && "
        ".venv/bin/inv sandbox.up --install hot-update --target sandbox --yes"
    )
    assert command in read(name).splitlines()


@pytest.mark.parametrize("name", ["docs/exit-codes.md", "docs/exit-codes.zh.md"])
def test_the_exit_codes_are_those_that_there_are(name: str) -> None:
    assert re.findall(r"^\| (\d+) \|", read(name), re.MULTILINE) == [str(code.value) for code in Exit]


@pytest.mark.parametrize("name", PAGES)
def test_every_command_is_right(name: str) -> None:
    found = [wrong for one in told(read(name)) for wrong in commands.wrong(one)]
    # A page may speak of a verb, without what that has to be given.
    assert [wrong for wrong in found if not wrong.endswith(("without its target", "arguments: 'kind'"))] == []


@pytest.mark.parametrize("name", PAGES)
def test_every_file_that_is_named_is_there(name: str) -> None:
    named = re.findall(r"`((?:deploy|tests|docs)/[^`\s*]*)`", read(name))
    assert [file for file in named if not (ROOT / file).exists()] == []


def test_every_file_that_is_drawn_is_there() -> None:
    drawn = re.findall(r'class="file"[^>]*>([^<]*)<', read("docs/architecture.svg"))
    named = [word for words in drawn for word in words.split() if re.search(r"[a-z](\.py|\.sh|/)$", word)]
    assert len(named) > 20
    assert [file for file in named if not any((ROOT / room / file).exists() for room in ("", "deploy"))] == []


@pytest.mark.parametrize("name", ENGLISH)
def test_both_languages_tell_of_the_same_commands(name: str) -> None:
    assert sorted(set(told(read(name)))) == sorted(set(told(read(name.replace(".md", ".zh.md")))))


@pytest.mark.parametrize("name", ENGLISH)
def test_both_languages_tell_the_same_figures(name: str) -> None:
    texts = [read(one) for one in (name, name.replace(".md", ".zh.md"))]
    english, chinese = (sorted(re.findall(r"\d[\d.,:]*\d|\d", text)) for text in texts)
    assert english == chinese


@pytest.mark.parametrize("name", PAGES)
def test_every_link_leads_somewhere(name: str) -> None:
    links = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", read(name)))
    missing = [link for link in links if "://" not in link and not _leads(ROOT / name, link)]
    assert missing == []


def _leads(page: Path, link: str) -> bool:
    file, _, heading = link.partition("#")
    to = (page.parent / file) if file else page
    return to.exists() and (not heading or heading in _anchors(to.read_text(encoding="utf-8")))


def _anchors(text: str) -> list[str]:
    """Name the headings as links do."""
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    return [re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings]
