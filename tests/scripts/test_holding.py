"""A run that is a part of several hosts': where it waits for the others, and what ends that."""

from pathlib import Path

from deploy import runs
from tests.scripts.runner import Clone, Step, ThisMachine, noting, told, undoable, until, waiting_for, words

HOLDS = {"proof": "start", "copy": "apply"}
PROOF = Step("proof", "true", harmless=True)


def go(clone: Clone, run: str, *points: str) -> None:
    for point in points:
        runs.go(ThisMachine(), clone.variables, run, point)


def test_it_waits_before_it_takes_the_lock(clone: Clone) -> None:
    clone.start_and_leave("r1", PROOF, seen=("holding", "lock"), holds=HOLDS)
    assert not clone.locked()
    assert not (clone.state / "holder").exists()
    go(clone, "r1", "lock", "start")
    assert told(clone.follow("r1"))[1:] == [
        ("holding", "lock"),
        ("locked",),
        ("holding", "start"),
        ("begin", "proof"),
        ("end", "proof", "0"),
        ("done", "done"),
    ]


def test_it_waits_before_the_step_that_changes_something(clone: Clone, tmp_path: Path) -> None:
    log = tmp_path / "log"
    copy = undoable(log, "copy", noting(log, "copied"))
    clone.start_and_leave("r1", PROOF, copy, seen=("holding", "lock"), holds=HOLDS)
    go(clone, "r1", "lock", "start")
    until(lambda: ("holding", "apply") in clone.journal("r1"))
    assert words(log) == []
    go(clone, "r1", "apply")
    assert told(clone.follow("r1"))[-1] == ("done", "done")
    assert words(log) == ["copied"]


def test_another_run_may_have_the_lock_meanwhile_and_it_is_told_who(clone: Clone) -> None:
    clone.start_and_leave("r1", PROOF, seen=("holding", "lock"), holds=HOLDS)
    other = clone.path / "go-on"
    clone.start_and_leave("r2", Step("copy", waiting_for(other)), seen=("begin", "copy"))
    go(clone, "r1", "lock")
    refused, done = told(clone.follow("r1"))[-2:]
    assert (refused[:2], done) == (("refused", "r2"), ("done", "locked"))
    assert clone.holder()["run"] == "r2"
    other.touch()
    assert told(clone.follow("r2"))[-1] == ("done", "done")


def test_before_the_lock_it_is_ended_by_a_decision_and_leaves_the_holder_alone(clone: Clone) -> None:
    clone.start_and_leave("r1", PROOF, seen=("holding", "lock"), holds=HOLDS)
    assert clone.decide("r1", "undo") == ("undo", "ada")
    assert told(clone.follow("r1"))[-1] == ("done", "refused", "lock", "143", "ada")
    assert not clone.locked()


def test_before_anything_changes_a_decision_leaves_everything_as_it_is(clone: Clone, tmp_path: Path) -> None:
    log = tmp_path / "log"
    clone.start_and_leave("r1", PROOF, undoable(log, "copy"), seen=("holding", "lock"), holds=HOLDS)
    go(clone, "r1", "lock", "start")
    until(lambda: ("holding", "apply") in clone.journal("r1"))
    clone.decide("r1", "undo")
    assert told(clone.follow("r1"))[-1] == ("done", "refused", "copy", "143", "ada")
    assert words(log) == []


def test_where_nobody_says_to_go_on_it_ends_without_a_change(clone: Clone, tmp_path: Path) -> None:
    log = tmp_path / "log"
    events = clone.start("r1", undoable(log, "copy", noting(log, "copied")), holds={"copy": "apply"}, confirm=1)
    why = "nobody said that the other hosts are as far"
    assert told(events)[-1] == ("done", "refused", "lock", "124", why)
    clone.start_and_leave("r2", undoable(log, "copy"), seen=("holding", "lock"), holds={"copy": "apply"}, confirm=1)
    go(clone, "r2", "lock")
    assert told(clone.follow("r2"))[-1] == ("done", "refused", "copy", "124", why)
    assert words(log) == []


def test_its_time_begins_anew_as_often_as_it_is_told(clone: Clone) -> None:
    clone.start_and_leave("r1", PROOF, seen=("holding", "lock"), holds={"proof": "apply"}, confirm=3)
    for _ in range(3):
        go(clone, "r1", "")
        until(lambda: not (clone.folder("r1") / "renewed").exists())
    go(clone, "r1", "lock", "apply")
    until(lambda: ("confirming", "3") in clone.journal("r1"))
    go(clone, "r1", "")
    until(lambda: not (clone.folder("r1") / "renewed").exists())
    clone.decide("r1", "confirm")
    assert told(clone.follow("r1"))[-1] == ("done", "done")
