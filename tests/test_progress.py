"""How far a run is, by the events of its journal."""

from deploy.message import NOTHING, Printed, pack, say
from deploy.progress import Progress
from deploy.runs import Event

COPIED = say("%s written", "4")


def heard(*events: tuple[str, ...], names: tuple[str, ...] = ("proof", "copy")) -> Progress:
    """The progress after events that came a second after one another, by the host's clock and by ours."""
    progress = Progress.of(names)
    for at, (kind, *fields) in enumerate(events):
        progress = progress.hear(Event(100.0 + at, kind, tuple(fields)), float(at))
    return progress


def test_a_step_waits_until_it_begins() -> None:
    assert [step.state for step in heard(("run", "1")).steps] == ["waiting", "waiting"]


def test_a_step_that_runs_tells_its_last_words_and_since_when() -> None:
    proof = heard(("begin", "proof"), ("line", "proof", "importing"), ("line", "proof", "  ")).steps[0]
    assert (proof.state, proof.since, proof.last) == ("running", 0.0, Printed("importing"))


def test_a_step_that_is_done_tells_what_we_said_of_it_last_and_how_long_it_took() -> None:
    words = (("message", "copy", pack(COPIED)), ("line", "copy", "  wsgi.py"))
    copy = heard(("begin", "copy"), *words, ("end", "copy", "0")).steps[1]
    assert (copy.state, copy.took, copy.last) == ("done", 3.0, COPIED)


def test_a_step_that_failed_tells_its_last_words_whosever_they_are() -> None:
    words = (("message", "copy", pack(COPIED)), ("line", "copy", "no space left"))
    assert heard(("begin", "copy"), *words, ("end", "copy", "1")).steps[1].last == Printed("no space left")


def test_what_an_undo_says_is_not_of_the_step() -> None:
    ends = (("begin", "copy"), ("end", "copy", "1"), ("undo", "copy", "1"), ("undo-begin", "copy"))
    progress = heard(*ends, ("line", "copy", "as before"), ("undo-end", "copy", "0"))
    assert (progress.steps[1].last, progress.stage, progress.told) == (NOTHING, "undoing", say("undoing %s", "copy"))


def test_steps_that_no_plan_told_are_learnt_as_they_begin() -> None:
    progress = heard(("begin", "sync"), ("end", "sync", "0"), ("begin", "copy"), names=())
    assert [(step.name, step.state) for step in progress.steps] == [("sync", "done"), ("copy", "running")]
    assert (progress.current and progress.current.name, progress.done) == ("copy", 1)


def test_a_run_that_waits_for_other_hosts_says_so_until_it_goes_on() -> None:
    waits = heard(("begin", "proof"), ("end", "proof", "0"), ("holding", "apply", "120"))
    assert waits.told == say("waiting until all hosts are as far")
    assert waits.hear(Event(0.0, "begin", ("copy",)), 0.0).told == NOTHING


def test_how_a_run_ended_is_told() -> None:
    assert heard(("confirming", "120")).stage == "proving"
    ended = heard(("done", "undone", "copy", "1"))
    assert (ended.stage, ended.told) == ("ended", say("undone"))
    assert heard(("done", "done")).stage == "done"
