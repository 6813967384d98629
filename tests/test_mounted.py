"""Mounted code: the order of the steps, what each does, and the way back."""

from dataclasses import replace
from typing import Any

import pytest

from deploy import preflight, steps
from deploy.plan import Options
from deploy.state import State
from tests.build import BASE, SETTINGS, STATE, app
from tests.texts import as_text

RUN = "20260101T000000-abcd"
MOUNTED = replace(STATE, clone_at=("/app",))


def plan(state: State, names: tuple[str, ...] = steps.HOT_UPDATE) -> Any:
    return as_text(steps.plan("hot-update", names, SETTINGS, state, Options(), RUN))


def step(state: State, name: str) -> Any:
    return next(step for step in plan(state).steps if step.name == name)


def test_the_database_is_migrated_before_the_clone_moves_for_who_recycles_imports_what_is_there() -> None:
    behind = replace(MOUNTED, database=replace(STATE.database, revisions=(BASE,)))
    assert [step.name for step in plan(behind).steps] == [
        "proof", "backup", "migrate", "mount", "sync", "copy", "clean", "restart",
    ]  # fmt: skip


def test_the_way_back_has_the_same_order() -> None:
    assert [step.name for step in plan(MOUNTED, steps.ROLLBACK).steps] == [
        "proof", "mount", "sync", "copy", "clean", "restart",
    ]  # fmt: skip


def test_the_copy_only_compares_and_says_so() -> None:
    assert step(MOUNTED, "copy").summary == ("nothing: every file there is compared with the commit",)
    assert '"mounted": true' in step(MOUNTED, "copy").script


def test_the_proof_builds_a_tree_beside_what_is_mounted() -> None:
    assert '"mounted": false' in step(MOUNTED, "proof").script


@pytest.mark.parametrize(("state", "undone"), [(MOUNTED, "mount"), (STATE, "copy")])
def test_the_old_processes_are_back_once_their_code_is(state: State, undone: str) -> None:
    restarts = [one.name for one in plan(state).steps if "# Replace each program" in one.undo]
    assert restarts == [undone]


def test_nothing_in_the_clone_is_cleaned() -> None:
    assert step(MOUNTED, "clean").summary == ("empty /var/cache/nginx",)


def test_a_mount_that_nobody_can_write_is_no_reason_to_refuse() -> None:
    readonly = replace(app(readonly=("/app",)), clone_at=("/app",))
    assert [one for one in preflight.judge(SETTINGS, readonly, Options()) if one.level == "refusal"] == []
