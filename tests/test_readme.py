"""The README's commands are the ones that are run."""

import re
from pathlib import Path

import pytest

from tests import commands

ROOT = Path(__file__).resolve().parent.parent


def test_ci_runs_the_readmes_command_for_the_tests() -> None:
    command = (ROOT / ".ci/run").read_text().rstrip().splitlines()[-1]
    assert command.endswith("inv test --install")
    assert command in (ROOT / "README.md").read_text().splitlines()


def test_the_readme_has_the_command_for_the_main_job() -> None:
    command = (
        "python3 -m venv .venv && .venv/bin/pip install -e . && "
        ".venv/bin/inv sandbox.up --install hot-update --target sandbox --yes"
    )
    assert command in (ROOT / "README.md").read_text().splitlines()


def test_every_exit_code_is_documented() -> None:
    from deploy.errors import Exit

    readme = (ROOT / "README.md").read_text()
    assert [code for code in Exit if f"| {code.value} |" not in readme] == []


@pytest.mark.parametrize("name", ["runbook.md", "runbook.zh.md"])
def test_every_command_of_the_runbook_is_right(name: str) -> None:
    text = (ROOT / "docs" / name).read_text(encoding="utf-8")
    told = re.findall("`(inv [^-`][^`]*)`|^(inv .*)$", text, re.MULTILINE)
    found = [inline or line for inline, line in told]
    assert len(found) > 10
    assert [wrong for one in found for wrong in commands.wrong(one) if not wrong.endswith("without its target")] == []


def test_both_runbooks_tell_of_the_same_commands() -> None:
    texts = [(ROOT / "docs" / name).read_text(encoding="utf-8") for name in ("runbook.md", "runbook.zh.md")]
    assert len({tuple(sorted(set(re.findall("inv [a-z-]+ --[^`\n]*", text)))) for text in texts}) == 1
