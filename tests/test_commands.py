"""A command that does not exist is found in whatever is told, and the help tells all that there is."""

import re

import pytest

from deploy.sandbox import stack
from tests import commands


@pytest.mark.parametrize(
    "text",
    [
        "→ inv attach --target prod follows it",
        "→ give --yes, or inv rollback --to 1a2b3c4 --target prod; then inv hot-update --target prod",
        "inv sandbox.up --install",
        "(inv restore --backup 20260101T000000-abcd --target prod brings it back)",
    ],
)
def test_a_command_that_exists_is_right(text: str) -> None:
    assert commands.wrong(text) == []


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("→ inv undo --target prod", "inv undo: there is no such verb"),
        ("→ inv rollback --keep-schema --target prod", "inv rollback --keep-schema"),
        ("→ inv attach follows it", "inv attach: without its target"),
        ("→ inv restore --backup --target prod", "inv restore --backup"),
    ],
)
def test_a_command_that_does_not_exist_is_told(text: str, told: str) -> None:
    (found,) = commands.wrong(text)
    assert found.startswith(told)


@pytest.mark.parametrize(("verb", "kinds"), [("release", stack.RELEASE_KINDS), ("break", stack.BREAK_KINDS)])
def test_the_help_of_the_sandbox_names_every_kind(verb: str, kinds: tuple[str, ...]) -> None:
    told = str(commands.contexts()[f"sandbox.{verb}"].args["kind"].help)
    assert set(re.split(", | or ", told)) == set(kinds)
