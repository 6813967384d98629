"""How a run ends: undone, confirmed, finished for a harness that died, and what is said of it."""

import shlex
from pathlib import Path

import pytest

from tests.plain import plain
from tests.scripts.runner import (
    SECRET,
    Clone,
    Step,
    noting,
    told,
    undoable,
    until,
    waiting_for,
    words,
)

# Undo


def test_a_failed_step_and_those_before_it_are_undone_the_last_one_first(clone: Clone, tmp_path: Path) -> None:
    log = tmp_path / "log"
    steps = (undoable(log, "sync"), Step("clean", "true"), undoable(log, "copy", "false"), undoable(log, "restart"))
    events = told(clone.start("r1", *steps))
    assert words(log) == ["undo-copy", "undo-sync"]
    assert ("undo", "copy", "1") in events
    assert events[-1] == ("done", "undone", "copy", "1")
    assert not clone.locked()


def test_before_an_undo_the_step_is_settled_and_after_it_the_old_release_is_proven(
    clone: Clone, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    asides = {"settle.sh": noting(log, "settled"), "prove.sh": f"echo proven-$1 >>{shlex.quote(str(log))}\n"}
    events = clone.start("r1", undoable(log, "copy", "false"), asides=asides)
    assert words(log) == ["settled", "undo-copy", "proven-old"]
    assert told(events)[-1] == ("done", "undone", "copy", "1")


@pytest.mark.parametrize("broken", ["settle.sh", "prove.sh", "undo"])
def test_an_undo_that_does_not_succeed_goes_on_and_is_told_apart(clone: Clone, tmp_path: Path, broken: str) -> None:
    log = tmp_path / "log"
    asides = {name: noting(log, name, int(name == broken)) for name in ("settle.sh", "prove.sh")}
    copy = Step("copy", "false", undo=noting(log, "undo-copy", int(broken == "undo")))
    events = clone.start("r1", undoable(log, "sync"), copy, asides=asides)
    assert words(log) == ["settle.sh", "undo-copy", "undo-sync", "prove.sh"]
    assert told(events)[-1] == ("done", "undone-ill", "copy", "1")


def test_a_step_that_refused_is_not_undone_itself(clone: Clone, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert told(clone.start("r1", undoable(log, "sync", "exit 3")))[-1] == ("done", "refused", "sync", "3")
    events = clone.start("r2", undoable(log, "sync"), undoable(log, "copy", "exit 3"))
    assert told(events)[-1] == ("done", "undone", "copy", "3")
    assert words(log) == ["undo-sync"]


def test_before_an_undo_the_container_is_brought_back(clone: Clone, tmp_path: Path) -> None:
    log = tmp_path / "log"
    asides = {"settle.sh": noting(log, "settled"), "revive.sh": noting(log, "revived")}
    clone.start("r1", undoable(log, "copy", "false"), asides=asides)
    assert words(log) == ["settled", "revived", "undo-copy"]


@pytest.mark.parametrize(
    ("revive", "prove", "outcome"),
    [("true", "false", "refused"), (": >revived", "true", "refused"), (": >revived", "false", "undone-ill"),
     ("false", "true", "undone-ill")],
    ids=["it runs", "it was brought back", "it is ill since", "it is gone"],
)  # fmt: skip
def test_a_run_that_changed_nothing_says_so_only_where_the_container_is_as_before(
    clone: Clone, revive: str, prove: str, outcome: str
) -> None:
    asides = {"settle.sh": "true\n", "revive.sh": f"{revive}\n", "prove.sh": f"{prove}\n"}
    events = clone.start("r1", Step("proof", "exit 1", harmless=True), asides=asides)
    assert events[-1].fields == (outcome, "proof", "1")


def test_an_undo_whose_harness_dies_is_finished_by_the_next_run(clone: Clone, tmp_path: Path) -> None:
    log = tmp_path / "log"
    kills = '[ -e killed ] || { : >killed; kill -KILL "$(sed -n "s/^pid\\t//p" ../../holder)"; sleep 1; }\n'
    copy = Step("copy", "false", undo=kills + noting(log, "undo-copy"))
    clone.start("r1", undoable(log, "sync"), copy)
    clone.start("r2", Step("x", "true"), patience=20)
    assert words(log) == ["undo-copy", "undo-copy", "undo-sync"]
    last = (clone.folder("r1") / "journal").read_text().splitlines()[-1]
    assert [plain(field) for field in last.split("\t")[1:]] == ["done", "undone", "copy", "137", "its harness died"]


def test_when_only_harmless_steps_ran_nothing_was_changed(clone: Clone, tmp_path: Path) -> None:
    proof = Step("proof", "false", harmless=True)
    assert told(clone.start("r1", proof, undoable(tmp_path / "log", "copy")))[-1] == ("done", "refused", "proof", "1")


def test_a_run_that_is_to_be_undone_ends_after_the_running_step(clone: Clone, tmp_path: Path) -> None:
    go, log = tmp_path / "go", tmp_path / "log"
    clone.start_and_leave("r1", undoable(log, "sync", waiting_for(go)), undoable(log, "copy"), seen=("begin", "sync"))
    assert clone.decide("r1", "undo") == ("undo", "ada")
    go.touch()
    events = told(clone.follow("r1"))
    assert ("end", "sync", "0") in events
    assert ("begin", "copy") not in events
    assert events[-1] == ("done", "undone", "copy", "143", "ada")
    assert words(log) == ["undo-sync"]


def test_what_needs_the_proof_is_done_after_an_undo_that_succeeded(clone: Clone, tmp_path: Path) -> None:
    log = tmp_path / "log"
    asides = {"prove.sh": "true\n", "proven.sh": f"echo proven-$1 >>{shlex.quote(str(log))}\n"}
    clone.start("r1", undoable(log, "copy", "false"), asides=asides)
    assert words(log) == ["undo-copy", "proven-old"]
    clone.start("r2", undoable(log, "copy", "false"), asides=asides | {"prove.sh": "false\n"})
    assert words(log) == ["undo-copy", "proven-old", "undo-copy"]


# Confirm


@pytest.mark.parametrize("status", [0, 1])
def test_what_needs_the_proof_is_done_once_a_run_is_confirmed_and_cannot_fail_it(
    clone: Clone, tmp_path: Path, status: int
) -> None:
    log = tmp_path / "log"
    asides = {"proven.sh": f"echo proven-$1 >>{shlex.quote(str(log))}; exit {status}\n"}
    clone.start_and_leave("r1", undoable(log, "copy"), seen=("confirming", "60"), confirm=60, asides=asides)
    assert words(log) == []
    clone.decide("r1", "confirm")
    assert told(clone.follow("r1"))[-2:] == [("confirmed", "ada"), ("done", "done")]
    assert words(log) == ["proven-new"]


def test_a_run_waits_until_it_is_confirmed(clone: Clone, tmp_path: Path) -> None:
    log = tmp_path / "log"
    clone.start_and_leave("r1", undoable(log, "copy"), seen=("confirming", "60"), confirm=60)
    assert clone.decide("r1", "confirm") == ("confirm", "ada")
    assert told(clone.follow("r1"))[-2:] == [("confirmed", "ada"), ("done", "done")]
    assert words(log) == []
    assert clone.decide("r1", "undo") == ("ended", "")


def test_of_two_that_decide_the_first_one_decides(clone: Clone, tmp_path: Path) -> None:
    clone.start_and_leave("r1", undoable(tmp_path / "log", "copy"), seen=("confirming", "60"), confirm=60)
    assert clone.decide("r1", "undo") == ("undo", "ada")
    assert clone.decide("r1", "confirm", "bob") in (("undo", "ada"), ("ended", ""))
    assert told(clone.follow("r1"))[-1] == ("done", "undone", "confirm", "0", "ada")


@pytest.mark.parametrize(
    ("proof", "unattended", "outcome"),
    [
        ("true", "keep", ("done", "done")),
        ("false", "keep", ("done", "undone", "confirm", "0", "the host")),
        ("true", "undo", ("done", "undone", "confirm", "0", "the host")),
    ],
)
def test_without_a_confirmation_the_host_proves_the_release_and_decides(
    clone: Clone, tmp_path: Path, proof: str, unattended: str, outcome: tuple[str, ...]
) -> None:
    clone.about["unattended"] = unattended
    asides = {"prove.sh": f'[ "$1" = old ] || {proof}\n'}
    events = clone.start("r1", undoable(tmp_path / "log", "copy"), confirm=1, asides=asides)
    assert told(events)[-1] == outcome
    assert words(tmp_path / "log") == ([] if outcome[1] == "done" else ["undo-copy"])


# A harness that died


def test_a_run_whose_harness_died_is_undone_by_the_next_one_before_anything_else(clone: Clone, tmp_path: Path) -> None:
    go, log = tmp_path / "go", tmp_path / "log"
    steps = (undoable(log, "sync"), undoable(log, "copy", waiting_for(go)))
    clone.start_and_leave("r1", *steps, seen=("begin", "copy"))
    clone.kill_harness()
    go.touch()
    until(lambda: not clone.locked())
    events = told(clone.start("r2", Step("clean", noting(log, "clean"))))
    assert events[2][:2] == ("took-over", "r1")
    assert events[3] == ("resumed", "r1", "undone")
    assert words(log) == ["undo-copy", "undo-sync", "clean"]
    assert clone.journal("r1")[-1] == ("done", "undone", "copy", "137", "its harness died")
    assert events[-1] == ("done", "done")


def test_a_harness_that_died_waiting_for_the_confirmation_leaves_the_decision_to_the_next(
    clone: Clone, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    asides = {"prove.sh": noting(log, "proven")}
    clone.start_and_leave("r1", undoable(log, "copy"), seen=("confirming", "60"), confirm=60, asides=asides)
    clone.kill_harness()
    until(lambda: not clone.locked())
    assert ("resumed", "r1", "done") in told(clone.start("r2"))
    assert clone.journal("r1")[-2:] == [("confirmed", "the host"), ("done", "done")]
    assert words(log) == ["proven"]


# What is said of the end


def looks(before: str, after: str) -> str:
    """A guard that sees one thing under the lock and another at the end."""
    return f"case $1 in before) {before} ;; after) {after} ;; esac\n"


HEAD_STAYS = "printf 'HEAD\\ta\\n'"
BROKEN = Step("proof", "false", harmless=True)


def test_nothing_was_changed_is_said_where_the_end_looks_like_the_beginning(clone: Clone) -> None:
    schema = f"{HEAD_STAYS}; printf 'table\\tt\\t\\t\\n' >schema.$1"
    events = clone.start("r1", BROKEN, guard=looks(schema, schema), expected="HEAD\ta\n")
    assert told(events)[4:] == [("done", "refused", "proof", "1")]
    assert not list(clone.folder("r1").glob("schema.*"))


def test_what_a_harmless_step_changed_all_the_same_is_told(clone: Clone) -> None:
    guard = looks(HEAD_STAYS, "printf 'HEAD\\tb\\n'")
    events = clone.start("r1", BROKEN, guard=guard, expected="HEAD\ta\n")
    assert told(events)[4:] == [("differs", "HEAD", "a", "b"), ("done", "altered", "proof", "1")]


def test_a_schema_that_is_not_as_before_is_told_with_what_came(clone: Clone) -> None:
    guard = looks(f"{HEAD_STAYS}; : >schema.before", f"{HEAD_STAYS}; printf 'table\\tpublic.t\\t\\t\\n' >schema.after")
    events = clone.start("r1", BROKEN, guard=guard, expected="HEAD\ta\n")
    assert told(events)[4:] == [("schema", "came", "table public.t"), ("done", "altered", "proof", "1")]


def test_a_database_that_cannot_be_asked_in_the_end_is_told_as_unseen(clone: Clone) -> None:
    guard = looks(
        "printf 'database revision\\tr\\n'; : >schema.before",
        f"printf 'database revision\\t\\n'; echo 'down: {SECRET}' >schema.after.problem",
    )
    events = clone.start("r1", BROKEN, guard=guard, expected="database revision\tr\n")
    assert told(events)[4:] == [
        ("unseen", "the database", "down: [DB_PASSWORD]"),
        ("done", "refused", "proof", "1"),
    ]


def test_an_undo_that_left_the_clone_elsewhere_is_no_good_one(clone: Clone) -> None:
    guard = looks(HEAD_STAYS, "printf 'HEAD\\tb\\n'")
    events = clone.start("r1", Step("sync", "false", undo="true"), guard=guard, expected="HEAD\ta\n")
    assert told(events)[-2:] == [("differs", "HEAD", "a", "b"), ("done", "undone-ill", "sync", "1")]


def test_after_an_undo_the_schema_that_stays_is_told_and_its_outcome_is_that_of_its_proof(clone: Clone) -> None:
    guard = looks(f"{HEAD_STAYS}; : >schema.before", f"{HEAD_STAYS}; printf 'table\\tpublic.t\\t\\t\\n' >schema.after")
    events = clone.start("r1", Step("migrate", "false", undo="true"), guard=guard, expected="HEAD\ta\n")
    assert told(events)[-2:] == [("schema", "came", "table public.t"), ("done", "undone", "migrate", "1")]
