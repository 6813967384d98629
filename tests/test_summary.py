"""What an update ends with, for a ticket."""

from dataclasses import replace

from deploy import summary
from deploy.message import say
from deploy.plan import Plan, Step
from deploy.state import State
from tests.build import BASE, HEAD, MIDDLE, NEW, OLD, SETTINGS, STATE, UPDATED, database, repository
from tests.texts import as_text

RUN = "20260102T000000-abcd"


def told(before: State, *names: str, verb: str = "hot-update") -> list[str]:
    steps = tuple(Step(name, say("asked for"), "", 1) for name in names)
    lines = summary.of(SETTINGS, before, Plan(verb, NEW, steps), RUN, "me@laptop", "prod")
    return [str(as_text(line)) for line in lines]


def test_it_tells_the_run_its_commits_and_how_to_go_back() -> None:
    assert told(STATE, "proof", "sync", "copy") == [
        "run 20260102T000000-abcd by me@laptop",
        "2222222 fix the page",
        f"before: {OLD[:7]}; inv rollback --to {OLD[:12]} --target prod goes back to it at any time",
    ]


def test_migrations_that_were_run_are_named_in_order() -> None:
    migrated = told(database(revisions=(BASE,)), "migrate")[1:3]
    assert migrated == [f"migrated: {MIDDLE} drop", f"migrated: {HEAD} time zone"]


def test_of_many_commits_the_first_are_named_and_the_others_counted() -> None:
    many = tuple(say("%s %s", f"{number:07}", "change") for number in range(25))
    assert told(repository(incoming=many), "sync")[10:12] == ["0000009 change", "and 15 more"]


def test_a_release_that_ran_already_has_no_way_back() -> None:
    assert told(UPDATED, "restart") == ["run 20260102T000000-abcd by me@laptop"]


def test_a_rollback_does_not_tell_how_to_go_where_it_came_from() -> None:
    before = replace(STATE, repository=replace(STATE.repository, incoming=()))
    assert told(before, "sync", "copy", verb="rollback") == ["run 20260102T000000-abcd by me@laptop"]
