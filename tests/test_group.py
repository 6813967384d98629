"""What a run of several hosts does next, from what each has told."""

from dataclasses import replace

import pytest

from deploy import group
from deploy.group import Part
from deploy.settings import Group
from deploy.settings.model import Canary

NAMES = ("a", "b", "c")
ALL = (NAMES,)


def parts(**changed: Part) -> list[Part]:
    """Three hosts that have their locks and wait to change something, but for what is said of them."""
    usual = {
        name: Part(name, begun=True, locked=True, held="apply", told=frozenset({"lock", "start"})) for name in NAMES
    }
    return list((usual | changed).values())


def part(name: str, **facts: object) -> Part:
    return replace(Part(name, begun=True, locked=True), **facts)  # type: ignore[arg-type]


def proven(name: str) -> Part:
    return part(name, proven=True, told=frozenset(("lock", "start", "apply")))


def test_locks_are_taken_one_after_the_other_in_the_order_of_the_names() -> None:
    waiting = [Part(name, begun=True, held="lock") for name in ("c", "a", "b")]
    assert group.next_words(waiting, [("c", "a", "b")]) == [("a", "lock")]
    waiting[1] = part("a", held="start", told=frozenset({"lock"}))
    assert group.next_words(waiting, [("c", "a", "b")]) == [("b", "lock")]


def test_nobody_begins_before_all_have_their_locks() -> None:
    there = [part("a", held="start"), part("b", held="start"), Part("c", begun=True)]
    assert group.next_words(there, ALL) == []


def test_all_begin_together() -> None:
    there = [part(name, held="start") for name in NAMES]
    assert group.next_words(there, ALL) == [(name, "start") for name in NAMES]


def test_where_a_proof_could_write_nobody_begins_his_before_the_database_is_dumped() -> None:
    first = part("a", held="start", dumps=True)
    others = [part(name, held="start") for name in ("b", "c")]
    assert group.next_words([first, *others], ALL) == [("a", "start")]
    dumping = replace(first, held="", told=frozenset({"start"}))
    assert group.next_words([dumping, *others], ALL) == []
    dumped = dumping.hear("end", ("backup", "0", ""))
    assert group.next_words([dumped, *others], ALL) == [("b", "start"), ("c", "start")]


@pytest.mark.parametrize(
    ("steps", "expected"),
    [(("backup", "proof", "sync"), True), (("proof", "backup", "sync"), False), (("proof", "sync"), False)],
)
def test_it_is_where_the_dump_comes_before_the_proof(steps: tuple[str, ...], expected: bool) -> None:
    assert group.dumps_first(steps) == expected


def test_nobody_changes_anything_before_all_have_proven_the_code() -> None:
    assert group.next_words(parts(c=part("c", told=frozenset({"lock", "start"}))), ALL) == []


def test_all_change_together_where_nothing_is_migrated() -> None:
    assert group.next_words(parts(), ALL) == [(name, "apply") for name in NAMES]


def test_who_migrates_goes_first_and_the_others_follow_its_migration() -> None:
    first = part("b", held="apply", migrates=True)
    assert group.next_words(parts(b=first), ALL) == [("b", "apply")]
    gone = replace(first, held="", told=frozenset({"apply"}))
    assert group.next_words(parts(b=gone), ALL) == []
    assert group.next_words(parts(b=replace(gone, migrated=True)), ALL) == [("a", "apply"), ("c", "apply")]


def test_all_are_confirmed_when_all_are_proven_and_not_before() -> None:
    there = [proven("a"), proven("b"), part("c", told=frozenset({"apply"}))]
    assert group.next_words(there, ALL) == []
    assert group.next_words([*there[:2], proven("c")], ALL) == [(name, "confirm") for name in NAMES]


def test_one_that_fails_has_the_others_undone() -> None:
    there = [proven("a"), part("b", failed=True), part("c", told=frozenset({"apply"}))]
    assert group.next_words(there, ALL) == [("a", "undo"), ("c", "undo")]


def test_nobody_is_told_twice() -> None:
    told = [replace(proven("a"), told=frozenset({"undo"})), part("b", failed=True), part("c", good=False, failed=True)]
    assert group.next_words(told, ALL) == []


def test_a_host_whose_run_has_not_begun_yet_is_undone_once_it_has() -> None:
    there = [part("a", failed=True), Part("b"), Part("c", begun=True, held="lock")]
    assert group.next_words(there, ALL) == [("c", "undo")]


def test_stopped_everything_that_is_not_over_is_undone() -> None:
    there = [proven("a"), part("b", good=True), Part("c", begun=True, held="lock")]
    assert group.next_words(there, ALL, stop=True) == [("a", "undo"), ("c", "undo")]


def test_a_batch_begins_when_the_one_before_is_confirmed() -> None:
    batches = (("a",), ("b", "c"))
    there = [part(name, held="start") for name in NAMES]
    assert group.next_words(there, batches) == [("a", "start")]
    assert group.next_words([proven("a"), *there[1:]], batches) == [("a", "confirm")]
    there[0] = part("a", good=True)
    assert group.next_words(there, batches) == [("b", "start"), ("c", "start")]


def test_a_failing_batch_leaves_those_before_it_as_they_are() -> None:
    there = [part("a", good=True), part("b", failed=True), part("c", held="start")]
    assert group.next_words(there, (("a",), ("b",), ("c",))) == [("c", "undo")]


@pytest.mark.parametrize(
    ("batch", "expected"),
    [
        (1, (("a",), ("b",), ("c",), ("d",), ("e",))),
        ("2", (("a", "b"), ("c", "d"), ("e",))),
        ("25%", (("a", "b"), ("c", "d"), ("e",))),
        ("all", (("a", "b", "c", "d", "e"),)),
    ],
)
def test_batches_are_a_number_or_a_share_of_the_hosts(batch: int | str, expected: tuple[tuple[str, ...], ...]) -> None:
    names = ("a", "b", "c", "d", "e")
    assert group.in_batches(names, Group(names, commit="each", batch=batch)) == expected


def test_the_canary_is_a_batch_of_its_own_and_the_first() -> None:
    settings = Group(NAMES, commit="each", batch="all", canary=Canary("b"))
    assert group.in_batches(NAMES, settings) == (("b",), ("a", "c"))


def test_together_there_is_one_batch() -> None:
    assert group.in_batches(NAMES, Group(NAMES, batch=1)) == ALL


def test_each_database_is_migrated_by_the_first_host_that_has_it() -> None:
    assert group.migrators({"a": "one", "b": "two", "c": "one"}, ALL) == {"a", "b"}


def test_a_database_that_nothing_tells_apart_is_its_hosts_alone() -> None:
    assert group.migrators({"a": "", "b": ""}, ALL) == {"a", "b"}


def test_the_canary_migrates_where_it_shares_the_database() -> None:
    assert group.migrators(dict.fromkeys(NAMES, "one"), (("b",), ("a", "c"))) == {"b"}


def test_a_run_waits_before_its_first_step_and_before_the_first_that_changes_something() -> None:
    assert group.points(["build", "proof", "sync", "copy"]) == {"build": "start", "sync": "apply"}


def test_a_run_that_begins_with_a_change_waits_once() -> None:
    assert group.points(["restart", "ship@web-2"]) == {"restart": "apply"}


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (("run", "r1"), Part("a", begun=True)),
        (("holding", "apply"), Part("a", held="apply")),
        (("locked",), Part("a", locked=True)),
        (("end", "migrate", "0"), Part("a", migrated=True)),
        (("end", "migrate", "1"), Part("a")),
        (("undo", "copy", "1"), Part("a", failed=True)),
        (("done", "done"), Part("a", good=True)),
        (("done", "locked"), Part("a", good=False, failed=True)),
    ],
)
def test_a_host_tells_by_its_journal_how_far_it_is(event: tuple[str, ...], expected: Part) -> None:
    assert Part("a").hear(event[0], event[1:]) == expected


def test_a_rollback_of_equal_hosts_goes_to_the_release_before() -> None:
    confirmed = {name: ["new", "old"] for name in NAMES}
    assert group.back_to(confirmed, dict.fromkeys(NAMES, "new"), "old") == "old"


def test_a_rollback_of_different_hosts_goes_to_the_older_of_their_releases() -> None:
    confirmed = {"a": ["new", "old", "older"], "b": ["old", "older"]}
    assert group.back_to(confirmed, {"a": "new", "b": "old"}, "old") == "old"


def test_there_is_no_rollback_to_what_one_host_never_had() -> None:
    assert group.back_to({"a": ["new", "old"], "b": ["new"]}, {"a": "new", "b": "new"}, "old") == ""


def test_what_differs_from_most_hosts_is_found() -> None:
    rows = [("x", "1"), ("y", "1"), ("x", "2")]
    assert group.unusual(rows) == [frozenset(), frozenset({0}), frozenset({1})]
