"""How a run that was undone is told, where it had migrated the database."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from deploy.errors import Exit, Failure
from deploy.message import Printed
from deploy.runs import Event
from deploy.state import State
from deploy.verbs.follow import Follower, operator
from tests.build import BASE, CHAIN, SETTINGS, STATE
from tests.texts import as_text

RUN = "20260101T000000-abcd"
DUMPED = (("begin", "backup"), ("end", "backup", "0"))
MIGRATED = (
    ("begin", "migrate"),
    ("end", "migrate", "0"),
    ("begin", "copy"),
    ("line", "copy", "broke"),
    ("end", "copy", "1"),
)
OLD_CODE = replace(CHAIN, heads=(BASE,), revisions=CHAIN.revisions[:1])


def failure(
    outcome: str, state: State, *events: tuple[str, ...], dumps: tuple[str, ...] = (RUN,), step: str = "copy"
) -> Any:
    """Follow a run that ended like this, on a host in this state with these dumps."""
    told = (("run", RUN, "hot-update", "ada", ""), *events, ("undo", step, "1"), ("done", outcome, step, "1"))
    session: Any = SimpleNamespace(
        settings=SETTINGS,
        host=SimpleNamespace(label="prod"),
        report=SimpleNamespace(event=lambda event: None),
        look=lambda: (state, (Printed("now: told"),)),
        dumps=lambda: SimpleNamespace(all=[SimpleNamespace(id=dump) for dump in dumps]),
    )

    @contextmanager
    def journal() -> Iterator[Iterator[Event]]:
        yield iter(Event(0.0, kind, tuple(fields), line) for line, (kind, *fields) in enumerate(told))

    with pytest.raises(Failure) as raised:
        Follower(session, RUN).follow(journal())
    return as_text(raised.value)


def newer_schema() -> State:
    assert STATE.app is not None
    return replace(STATE, app=replace(STATE.app, chain=OLD_CODE, target_chain=None))


SAID = f"the old code runs on the new schema: the database is at {CHAIN.heads[0]}, which it does not know"


def test_old_code_that_is_ill_on_the_new_schema_is_told_with_the_command_that_restores_the_dump() -> None:
    found = failure("undone-ill", newer_schema(), *DUMPED, *MIGRATED)
    assert found.code == Exit.UNDONE_ILL
    assert SAID in found.evidence
    assert found.remedy.startswith(f"inv restore --backup {RUN} --target prod brings the old schema back")


def test_old_code_that_is_healthy_on_the_new_schema_is_told_and_nothing_has_to_be_restored() -> None:
    found = failure("undone", newer_schema(), *DUMPED, *MIGRATED)
    assert (found.code, SAID in found.evidence) == (Exit.UNDONE, True)
    assert found.remedy == "inv preflight --target prod"


@pytest.mark.parametrize("step", ["proof", "migrate", "restart@shop-web-2"])
def test_a_step_that_the_release_decides_asks_for_another_release(step: str) -> None:
    found = failure("undone", STATE, step=step)
    assert found.remedy == "publish a release that cures it, then inv hot-update --target prod"


def test_a_dump_that_fails_says_nothing_of_the_release() -> None:
    assert failure("refused", STATE, step="backup").remedy == "inv preflight --target prod"


def test_a_dump_that_is_there_no_more_is_not_named() -> None:
    found = failure("undone-ill", newer_schema(), *DUMPED, *MIGRATED, dumps=())
    assert found.remedy == "inv preflight --target prod"


def test_without_a_dump_none_is_named() -> None:
    found = failure("undone-ill", newer_schema(), *MIGRATED)
    assert SAID in found.evidence
    assert found.remedy == "inv preflight --target prod"


def test_where_the_code_knows_the_schema_nothing_is_said_of_it() -> None:
    found = failure("undone-ill", STATE, *DUMPED, *MIGRATED)
    assert found.evidence == ("undone, but prod is not as healthy as before", "now: told")
    assert found.remedy == "inv preflight --target prod"


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("ada", "ada"),
        ("a\x1b[2J\tb\nc", r"a\x1b[2J\tb\nc"),
        ("x" * 10_000, "x" * 63 + "…"),
        ("\x1b" * 10_000, r"\x1b" * 15 + "\\x1…"),
        ("\udcff", r"\udcff"),
    ],
    ids=["plain", "acts on a terminal", "long", "long and acts", "no text"],
)
def test_an_operators_name_is_one_line_that_acts_on_nothing(
    monkeypatch: pytest.MonkeyPatch, name: str, shown: str
) -> None:
    monkeypatch.setenv("LOGNAME", name)
    assert operator().rpartition("@")[0] == shown


def test_an_operator_without_a_name_is_somebody(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown() -> str:
        raise KeyError("getpwuid(): uid not found: 4711")

    monkeypatch.setattr("getpass.getuser", unknown)
    assert operator().startswith("somebody@")
