"""A command that does not exist is found in whatever is told, and the help tells all that there is."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from invoke.context import Context

import tasks
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


@pytest.mark.parametrize("name", tasks.namespace.task_names)
def test_the_help_of_every_verb_gives_an_example_that_is_right(name: str) -> None:
    found = re.search("^ *Example: (inv.*)$", tasks.namespace[name].__doc__ or "", re.MULTILINE)
    assert found
    assert commands.wrong(found[1]) == []


def test_the_shell_completes_verbs_and_flags() -> None:
    script = """source <(inv --print-completion-script bash)
        COMP_LINE="inv hot-update --dry" COMP_WORDS=(inv hot-update --dry) COMP_CWORD=2
        _complete_invoke
        printf '%s\n' "${COMPREPLY[@]}"
    """
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    ended = subprocess.run(
        ["bash", "-c", script], env={**os.environ, "PATH": path}, capture_output=True, text=True, check=True
    )
    assert "--dry-run" in ended.stdout.split()


def test_without_a_verb_every_verb_is_told_in_the_order_of_work(capsys: pytest.CaptureFixture[str]) -> None:
    tasks.contents(Context())
    told = re.findall(r"^  inv (\S+) ", capsys.readouterr().out, re.MULTILINE)
    known = {name.removesuffix(".test").removesuffix(".docs") for name in tasks.namespace.task_names} - {"contents"}
    assert set(told) == known
    assert [told.index(name) for name in ("preflight", "status", "hot-update", "rollback", "sync", "bench")] == sorted(
        told.index(name) for name in ("preflight", "status", "hot-update", "rollback", "sync", "bench")
    )
