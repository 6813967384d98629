"""What verbs tell programs, of a real production."""

from typing import Any

import pytest

from deploy.errors import Exit
from deploy.sandbox import stack
from deploy.sandbox.home import Sandbox
from tests.sandbox.conftest import Inv
from tests.test_events import document, told

pytestmark = pytest.mark.stack


def events(inv: Inv, *words: str, code: int = 0) -> list[Any]:
    ended = inv(*words, "--json")
    assert (ended.code, ended.err) == (code, "")
    return told(ended.out)


def test_an_update_is_a_stream_of_events(sandbox: Sandbox, inv: Inv) -> None:
    commit = stack.release(sandbox.name, "migration")
    kinds = [one["event"] for one in events(inv, "hot-update", "--dry-run", "--commands")]
    assert {"finding", "change", "plan"} == set(kinds)
    found = events(inv, "hot-update", "--yes")
    assert [one["fields"][0]["text"] for one in found if one["event"] == "run" and one["kind"] == "begin"] == [
        step["name"] for one in found if one["event"] == "plan" for step in one["steps"]
    ]
    assert (found[-1]["event"], found[-1]["revision"], found[-1]["target"]) == ("done", commit, sandbox.name)


@pytest.mark.parametrize(
    "words", [("preflight",), ("migrate", "--current"), ("migrate", "--sql"), ("backup", "--list")]
)
def test_what_only_looks_tells_events(inv: Inv, words: tuple[str, ...]) -> None:
    assert events(inv, *words)


@pytest.mark.parametrize("verb", ["health", "status", "history"])
def test_what_tells_how_things_are_tells_one_document(inv: Inv, verb: str) -> None:
    assert document(inv(verb, "--json").out, verb)


def test_a_failure_is_an_event_with_the_exit_code(sandbox: Sandbox, inv: Inv) -> None:
    stack.break_(sandbox.name, "dirty")
    found = events(inv, "hot-update", "--yes", code=Exit.REFUSED)
    assert (found[-1]["event"], found[-1]["code"]) == ("failure", Exit.REFUSED)
    assert found[-1]["message"]["format"] == "refused, nothing was changed: %s"
