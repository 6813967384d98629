"""Which releases were good, and where a rollback goes."""

from dataclasses import replace

import pytest

from deploy import releases
from deploy.message import pack, say
from deploy.state import PastRun, State
from tests.build import APP, RECORD, STATE

RUN = PastRun(0, "r", "hot-update", "ann@laptop", "", "", 0, "done", "", ())


def after(*runs: tuple[str, str], now: str, verb: str = "hot-update") -> State:
    """A production that runs `now` after runs with these revisions and outcomes."""
    past = tuple(replace(RUN, verb=verb, revision=revision, outcome=outcome) for revision, outcome in runs)
    return replace(STATE, history=past, app=replace(APP, record=replace(RECORD, revision=now)))


@pytest.mark.parametrize(
    ("runs", "now", "goes"),
    [
        ([("a", "done"), ("b", "done")], "b", "a"),
        ([("a", "done"), ("b", "undone"), ("c", "done")], "c", "a"),
        ([("a", "done"), ("b", "done"), ("a", "done")], "a", "b"),
        ([("a", "done")], "a", ""),
        ([("a", "done")], "unknown", "a"),
        ([], "a", ""),
    ],
)
def test_a_rollback_goes_to_the_last_confirmed_release_before_the_one_that_runs(
    runs: list[tuple[str, str]], now: str, goes: str
) -> None:
    assert releases.before(after(*runs, now=now)) == goes


def test_a_verb_alone_brings_no_release() -> None:
    assert list(releases.confirmed(after(("a", "done"), now="a", verb="copy"))) == []


def test_each_release_is_listed_once_the_newest_first() -> None:
    state = after(("a", "done"), ("b", "done"), ("a", "done"), now="a")
    assert [run.revision for run in releases.confirmed(state)] == ["a", "b"]


def test_what_the_host_has_kept_alone_was_confirmed_by_it_and_undone_by_nobody() -> None:
    alone = replace(RUN, why=f"confirm 0 {pack(say('the host'))}")
    assert releases.kept_alone(alone)
    assert not releases.kept_alone(replace(alone, outcome="undone"))
    assert not releases.kept_alone(RUN)
