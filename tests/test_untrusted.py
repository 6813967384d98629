"""Whatever a host or a container answers: it is understood, passed over, or one message; never a traceback."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy import backups, runs, shell
from deploy.errors import Failure
from deploy.plan import Options
from deploy.preflight import judge
from deploy.settings import load
from deploy.state import State, kept, parse
from deploy.state.records import RECORDS
from tests.build import SETTINGS, finding
from tests.test_state import INSIDE
from tests.texts import as_text

KINDS = [kind.split(" ")[0] for kind in RECORDS]
ODD = [
    "",
    "-x",
    "../../x",
    "0",
    "1",
    "-1",
    "9" * 40,
    "1" * 40,
    "nan",
    "1e999",
    "²",
    "\\",
    "\\x",
    "\x1b[2J",
    "\0",
    "中",
    "\udc80",
]
field = st.one_of(st.sampled_from(ODD), st.text(max_size=8))
row = st.tuples(st.sampled_from([*KINDS, "now", "about", "clock"]), st.lists(field, max_size=12)).map(
    lambda row: "\t".join((row[0], *row[1]))
)
answer = st.lists(st.one_of(row, st.text(max_size=20)), max_size=12).map(
    lambda lines: "".join(f"{line}\n" for line in lines)
)
value = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), field),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(field, inner, max_size=3)),
    max_leaves=6,
)


def quietly(read: Callable[[], Any]) -> Any:
    """Read it; a Failure is an answer too."""
    try:
        return read()
    except Failure:
        return None


@given(told=answer)
def test_any_answer_of_the_reading_script_is_a_state_or_a_failure(told: str) -> None:
    state = quietly(lambda: parse(f"{told}end\n"))
    if state is not None:
        judge(SETTINGS, state, Options())


def read(inside: Any) -> State:
    return parse(f"host\troot\tprod\tboot\napp\t{json.dumps(inside)}\nend\n".replace("\\", "\\\\"))


@given(name=st.sampled_from(sorted(INSIDE)), told=value)
def test_anything_that_a_container_tells_is_understood_or_named(name: str, told: Any) -> None:
    state = read({**INSIDE, name: told})
    assert state.app is not None or "cannot be understood" in as_text(state.app_problem)
    judge(SETTINGS, state, Options())


@pytest.mark.parametrize(
    "changes",
    [
        {"record": {"revision": "-x", "complete": True, "run": "r1"}},
        {"record": {"revision": "1" * 40, "complete": True, "run": "../../x"}},
        {"owner": "root; reboot"},
        {"chain": {"heads": ["-x"], "revisions": []}},
        {"programs": [{"id": "x"}]},
        {"files": {"nginx": {"place": 7}}},
        {"free_mib": True},
        {"differs": {"a": "--force"}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_container_that_tells_what_cannot_be_is_not_believed(changes: dict[str, Any]) -> None:
    state = read({**INSIDE, **changes})
    assert state.app is None
    assert as_text(state.app_problem).startswith("what was told in it cannot be understood: ")


def test_files_of_ours_in_the_container_that_are_damaged_are_named_in_preflight() -> None:
    state = read({**INSIDE, "damaged": ["/var/lib/hot-update/rolled.json"]})
    found = finding("records", state)
    assert (found.level, found.evidence) == (
        "warning",
        "/var/lib/hot-update/rolled.json, in the container, cannot be understood",
    )


def test_a_revision_in_the_database_that_would_be_an_option_is_none() -> None:
    kept = "db_version_table\tpublic.alembic_version\t32\tt\ndb_revision\tpublic.alembic_version\t--sql\n"
    state = parse(f"database\t\n{kept}end\n")
    assert "holds what is no revision" in as_text(state.database.problem)


PAST = ("20", "r1", "hot-update", "ada", "", "1" * 40, "10", "done", "", "copy 0 1.5")


def test_records_of_the_history_that_are_damaged_are_passed_over_and_counted() -> None:
    told, damaged = kept.history([PAST, PAST[:3], ("",), (*PAST, "312 0 0.1 0.02", "more")])
    assert [run.id for run in told] == ["r1", "r1"]
    assert as_text(damaged) == ("history: passed over 1 record that cannot be understood, the last one in line 2",)


@given(rows=st.lists(st.lists(field, max_size=12).map(tuple), max_size=4))
def test_any_history_is_read(rows: list[tuple[str, ...]]) -> None:
    kept.history(rows)
    kept.holder(rows)


@given(row=st.permutations(PAST), at=st.integers(0, 9), odd=field)
def test_any_record_of_a_run_is_read_or_passed_over(row: list[str], at: int, odd: str) -> None:
    kept.history([tuple(row), (*PAST[:at], odd, *PAST[at + 1 :])])


@given(told=answer)
def test_any_list_of_dumps_is_read_or_a_failure(told: str) -> None:
    quietly(lambda: backups.parse(told))
    quietly(lambda: backups.parse(f"now\t1\t/backups\n{told}"))


def test_a_dump_whose_description_is_damaged_is_named_and_cannot_be_restored() -> None:
    found = backups.parse("now\t9\t/backups\nabout\tr1\ttime\tsoon\nabout\tr2\n")
    assert (found.all, found.damaged) == ((), ("r1", "r2"))
    with pytest.raises(Failure) as raised:
        backups.Backups("/backups", 9, (backups.Backup("r0", 1, 1, (), ""),), ("r1",)).find("r1", "prod")
    assert as_text(raised.value.fact) == "what is known of the backup r1 is damaged: /backups/r1.about"


class Host:
    """A host that answers with these lines."""

    def __init__(self, lines: list[str]) -> None:
        self.lines = lines

    @contextmanager
    def stream(self, script: str, *, stdin: bytes) -> Iterator[Iterator[str]]:
        yield iter(self.lines)


event = st.tuples(
    st.sampled_from(["1.0", "", "²", "1.2.3", "nan"]),
    st.sampled_from(["run", "done", "line", "changed", "x"]),
    st.lists(field),
).map(lambda row: "\t".join((row[0], row[1], *row[2])))


@given(lines=st.lists(st.one_of(event, st.text())))
def test_any_journal_and_any_word_on_a_decision_are_read(lines: list[str]) -> None:
    host = Host([line.replace("\n", " ") for line in lines])
    with runs.follow(host, SETTINGS_OF_A_RUN) as events:
        assert all(event.fields for event in events if event.kind in ("run", "done", "line"))
    quietly(lambda: runs.decide(host, SETTINGS_OF_A_RUN, "r1", "confirm", "ada"))


SETTINGS_OF_A_RUN: runs.Variables = {
    "path": "/x",
    "env_file": "/x/.env",
    "secret_words": (),
    "secret_min_length": 8,
}


@given(text=st.text())
def test_any_text_is_records(text: str) -> None:
    list(shell.records(text))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(text=st.one_of(st.text(), value.map(json.dumps)))
def test_any_settings_file_is_settings_or_a_failure(tmp_path: Path, text: str) -> None:
    (tmp_path / "invoke.yaml").write_text(text, encoding="utf-8", errors="replace")
    quietly(lambda: load(project=tmp_path, target="prod"))
