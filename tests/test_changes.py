"""What a dry run tells of a release, and how much of it a terminal shows."""

from dataclasses import replace

import pytest

from deploy import changes, steps
from deploy.message import Printed
from deploy.plan import Options, Plan
from deploy.report import FIRST_LINES, Report
from deploy.state import Commit, Preview, State
from tests.build import BASE, HEAD, MIDDLE, SETTINGS, STATE
from tests.texts import as_text

SOURCE = (
    '"""Drop.\n\nNobody asks for it.\n\nRevises: x\n"""\n'
    'from alembic import op\n\ndef upgrade():\n    op.drop_table("t")\n'
)
PREVIEW = Preview(
    coming=(Commit("2222222", 7200, Printed("fix the page")), Commit("3333333", 5, Printed("drop"))),
    going=(Commit("4444444", 3 * 86400, Printed("an older one")),),
    lines={"app/page.py": (12, 3), "docs/gone.md": (0, 40)},
    sources={MIDDLE: SOURCE, HEAD: "def upgrade():\n    pass\n"},
)
SEEN = replace(
    STATE,
    preview=PREVIEW,
    changes=(("M", "app/page.py"), ("A", "app/logo.png"), ("D", "docs/gone.md")),
    database=replace(STATE.database, revisions=(BASE,)),
)


def planned(state: State) -> Plan:
    return steps.plan("hot-update", steps.HOT_UPDATE, SETTINGS, state, Options(), "20260101T000000-abcd")


def told(state: State) -> list[tuple[str, tuple[str, ...]]]:
    return [as_text((one.title, one.lines)) for one in changes.sections(SETTINGS, state, planned(state))]


def test_commits_files_and_migrations_are_told_each_below_a_title() -> None:
    assert told(SEEN) == [
        ("2 commits come", ("2222222  fix the page  (2 hours)", "3333333  drop  (5 seconds)")),
        ("1 commit goes", ("4444444  an older one  (3 days)",)),
        ("2 files come or change, +12 -3", ("M    +12     -3  app/page.py", "A                app/logo.png")),
        ("1 file is deleted", ("docs/gone.md",)),
        (
            f"migration {MIDDLE} drop",
            (
                "Nobody asks for it.",
                "! line 10, drop-table: drops t with all its rows, while the old code still runs",
            ),
        ),
        (f"migration {HEAD} time zone", ("nothing in its source was found to be risky",)),
    ]


def test_where_what_runs_is_unknown_that_is_said_first() -> None:
    assert told(replace(SEEN, running="", changes=()))[:2] == [
        ("every file comes: what runs is unknown, so commits are compared with the clone's", ()),
        ("2 commits come", ("2222222  fix the page  (2 hours)", "3333333  drop  (5 seconds)")),
    ]


def test_a_migration_whose_source_was_not_read_is_not_taken_for_harmless() -> None:
    seen = replace(SEEN, preview=replace(PREVIEW, sources={HEAD: ""}))
    assert told(seen)[-2][1] == ("! what it does cannot be told: its source could not be read",)


def test_without_a_preview_the_plan_tells_it_in_short() -> None:
    assert told(replace(SEEN, preview=None)) == []
    seen, unseen = (
        {step.name: as_text(step.summary) for step in planned(state).steps}
        for state in (SEEN, replace(SEEN, preview=None))
    )
    assert {name: lines for name, lines in unseen.items() if lines != seen[name]}.keys() == {"sync", "migrate", "copy"}


def test_what_is_the_same_on_several_hosts_is_told_once_and_the_rest_with_its_hosts() -> None:
    later = replace(PREVIEW, coming=tuple(replace(one, age=one.age + 7200) for one in PREVIEW.coming))
    first, other = SEEN, replace(SEEN, preview=later, database=STATE.database)
    found = {name: changes.sections(SETTINGS, state, planned(state)) for name, state in (("a", first), ("b", other))}
    assert as_text(tuple(one.title for one in changes.together(found))) == (
        "2 commits come",
        "1 commit goes",
        "2 files come or change, +12 -3",
        "1 file is deleted",
        f"migration {MIDDLE} drop (on a)",
        f"migration {HEAD} time zone (on a)",
    )


@pytest.mark.parametrize("terminal", [True, False])
def test_a_terminal_shows_the_first_of_many_lines_and_a_pipe_all(
    terminal: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("FORCE_COLOR", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    if terminal:
        for name, value in {"TTY_COMPATIBLE": "1", "COLUMNS": "80", "TERM": "dumb"}.items():
            monkeypatch.setenv(name, value)
    many = tuple(Printed(f"file {number}") for number in range(FIRST_LINES + 3))
    Report().changes([changes.Section(Printed("files"), many)])
    lines = capsys.readouterr().out.splitlines()
    shown = [f"     {line}" for line in many]
    assert lines == ["files", *([*shown[:FIRST_LINES], "     and 3 more"] if terminal else shown)]


def test_commands_are_the_scripts_of_the_steps_and_of_what_undoes_them(capsys: pytest.CaptureFixture[str]) -> None:
    plan = planned(SEEN)
    Report().plan(plan, commands=True)
    out = capsys.readouterr().out
    assert all(step.script in out and step.undo in out for step in plan.steps)
    assert "The script of copy:\n" in out
    assert "The script that undoes copy:\n" in out
