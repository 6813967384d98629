"""Which steps a state calls for, and why."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from deploy import preflight, steps
from deploy.plan import Options
from deploy.settings import Settings
from deploy.settings.model import Backup, Proof, Undo
from deploy.state import Installed, Memory, Probe, Sibling, State
from tests.build import BASE, BLOB, HEAD, MIDDLE, NEW, OLDER_BLOB, RECORD, SCHEDULER, SETTINGS, STATE, UPDATED, WEB, app
from tests.texts import as_text

RUN = "20260101T000000-abcd"


RESTARTED = "docker compose -p whalefall -f /opt/whalefall/docker-compose.prod.yml restart whalefall"


def plan(state: State, verb: str = "hot-update", settings: Settings = SETTINGS, **options: Any) -> Any:
    names = steps.HOT_UPDATE if verb == "hot-update" else (*steps.BEFORE.get(verb, ()), verb)
    return as_text(steps.plan(verb, names, settings, state, Options(**options), RUN))


def step_of(found: Any, name: str) -> Any:
    return next(step for step in found.steps if step.name == name)


def names(state: State) -> list[str]:
    return [step.name for step in plan(state).steps]


def updated_app(**changes: object) -> State:
    assert UPDATED.app is not None
    return replace(UPDATED, app=replace(UPDATED.app, **changes))  # type: ignore[arg-type]


PENDING = replace(STATE, database=replace(STATE.database, revisions=(BASE,)))
TIME_ZONE = "database_size_aggregations.calculated_at"
RESTARTS = "# Replace each program"


def test_a_new_commit_is_proven_synced_copied_cleaned_and_restarted_into() -> None:
    assert [(step.name, step.reason) for step in plan(STATE).steps] == [
        ("proof", "the code changes"),
        ("sync", "the clone is at 1111111"),
        ("copy", "1111111 runs"),
        ("clean", "the code changes"),
        ("restart", "the code changes"),
    ]


def test_a_plan_pins_its_commit() -> None:
    assert plan(STATE).revision == NEW


def test_nothing_to_do_is_an_empty_plan() -> None:
    assert plan(UPDATED).steps == ()


def test_pending_migrations_are_run() -> None:
    state = replace(STATE, database=replace(STATE.database, revisions=(BASE,)))
    step = next(step for step in plan(state).steps if step.name == "migrate")
    assert step.reason == "2 pending"
    assert step.summary == (f"flask db upgrade to {HEAD}", f"{MIDDLE} drop", f"{HEAD} time zone")


def test_a_database_that_was_never_stamped_is_stamped_first() -> None:
    database = replace(STATE.database, revisions=(), columns={"credentials.instance_ids": "ARRAY"})
    step = next(step for step in plan(replace(STATE, database=database)).steps if step.name == "migrate")
    assert step.summary[0] == f"flask db stamp {BASE}"
    assert f"stamp={BASE}\n" in step.script


def test_a_container_without_a_record_gets_every_file() -> None:
    step = next(s for s in plan(updated_app(record=None)).steps if s.name == "copy")
    assert step.reason == "what runs is unknown"
    assert "\nrecorded=\n" in step.script


def test_a_copy_that_was_not_finished_is_done_again() -> None:
    state = updated_app(record=replace(RECORD, revision=NEW, complete=False))
    assert names(state) == ["proof", "copy", "clean", "restart"]


def test_files_changed_by_hand_are_put_right() -> None:
    state = updated_app(drift=("app/page.py",))
    assert plan(state).steps[1].reason == "changed by hand: app/page.py"


def test_processes_older_than_the_copy_are_restarted() -> None:
    state = updated_app(programs=(replace(WEB, fresh=False), SCHEDULER))
    assert [(s.name, s.reason) for s in plan(state).steps] == [("restart", "older than the code: whalefall_web")]


def test_an_app_that_does_not_answer_is_restarted() -> None:
    probes = {name: (replace(probe[0], status=0),) for name, probe in STATE.probes.items()}
    assert names(replace(UPDATED, probes=probes)) == ["restart"]


@pytest.mark.parametrize("verb", ["backup", "clean", "restart"])
def test_a_step_asked_for_by_name_runs_without_a_reason(verb: str) -> None:
    assert [(step.name, step.reason) for step in plan(UPDATED, verb).steps] == [(verb, "asked for")]


@pytest.mark.parametrize("verb", ["sync", "copy", "migrate"])
def test_a_step_asked_for_by_name_with_nothing_to_do_does_not_run(verb: str) -> None:
    assert plan(UPDATED, verb).steps == ()


def test_what_was_allowed_is_recorded_with_the_copy() -> None:
    state = replace(STATE, image_changes={"uv.lock": OLDER_BLOB})
    step = next(s for s in plan(state, allow_unsuitable=True).steps if s.name == "copy")
    assert f'"overridden": {{"uv.lock": "{OLDER_BLOB}"}}' in step.script


def test_of_what_was_allowed_twice_the_blob_of_the_image_stays_recorded() -> None:
    record = replace(RECORD, overridden={"uv.lock": BLOB, "pyproject.toml": BLOB})
    state = replace(app(record=record), image_changes={"uv.lock": OLDER_BLOB})
    step = next(s for s in plan(state, allow_unsuitable=True).steps if s.name == "copy")
    # pyproject.toml is that of the image again.
    assert f'"overridden": {{"uv.lock": "{BLOB}"}}' in step.script


def test_a_restart_replaces_each_program_in_its_own_way() -> None:
    step = plan(UPDATED, "restart").steps[0]
    assert step.summary == (
        "whalefall_web: replace 2 workers, up to 2 at once, each once a new one answers; users should notice nothing",
        "whalefall_scheduler: its worker leaves before the next one starts; requests wait meanwhile",
        "a new worker holds userdata/scheduler.lock, if an old one does",
        f"if that cannot be done: {RESTARTED}",
    )


def test_new_settings_of_a_server_are_read_again() -> None:
    state = replace(STATE, changes=(("M", "nginx/gunicorn/gunicorn-prod.conf.py"),))
    assert step_of(plan(state), "restart").summary[0] == (
        "whalefall_web: has to read its settings again, since gunicorn.conf.py changes; requests wait meanwhile"
    )


@pytest.mark.parametrize(
    ("changed", "command"),
    [
        (
            {"folder": "/srv/made", "environment": "/srv/prod.env", "files": ("/opt/a.yml", "/opt/b c.yml")},
            "docker compose -p whalefall --project-directory /srv/made --env-file /srv/prod.env -f /opt/a.yml "
            "-f '/opt/b c.yml' restart whalefall",
        ),
        ({"files": ()}, "docker restart whalefall_app_prod"),
        ({"project": ""}, "docker restart whalefall_app_prod"),
    ],
    ids=["labels", "no files", "no project"],
)
def test_the_container_is_restarted_as_its_labels_say_or_by_its_name(changed: dict[str, Any], command: str) -> None:
    made = replace(STATE.containers["app"], **changed)
    state = replace(UPDATED, containers=dict(STATE.containers) | {"app": made})
    assert plan(state, "restart", strategy="container").steps[0].summary[0] == command


def test_a_stopped_replica_is_not_restarted_with_the_container() -> None:
    replica = Sibling("whalefall-whalefall-2", "exited", "whalefall", "/opt/whalefall")
    found = plan(replace(UPDATED, siblings=(replica,)), "restart", strategy="container").steps[0]
    assert found.summary[0] == "docker restart whalefall_app_prod"
    assert "\ncompose=()\n" in found.script


def test_a_restart_of_the_container_runs_what_the_runbook_says() -> None:
    step = plan(UPDATED, "restart", strategy="container").steps[0]
    assert step.summary == (
        RESTARTED,
        "users notice it: requests fail until the app answers again",
        "wait up to 120 s for http://localhost:5001",
        "nginx -t",
        "nginx -s reload",
    )


@pytest.mark.parametrize(
    ("state", "because"),
    [
        (
            replace(UPDATED, probes={"direct": (Probe("http://localhost:5001", 503),)}),
            "the app does not answer as it should",
        ),
        (replace(UPDATED, image_changes={"nginx/supervisor/x.conf": OLDER_BLOB}), "nginx/supervisor/x.conf changed"),
        (
            replace(UPDATED, memory=Memory(limit=100, used=80, kills=0)),
            f"{SETTINGS.app.container} has 20 of 100 MiB left, and a worker takes 50 MiB",
        ),
    ],
)
def test_what_a_rolling_restart_cannot_carry_restarts_the_container_and_says_why(state: State, because: str) -> None:
    assert plan(state, "restart").steps[0].summary[0].endswith(f" restart whalefall: {because}")


def test_migrations_run_from_the_proven_tree_and_before_the_copy() -> None:
    found = plan(replace(STATE, database=replace(STATE.database, revisions=(BASE,))))
    assert [step.name for step in found.steps] == ["proof", "backup", "sync", "migrate", "copy", "clean", "restart"]
    assert f"tree={SETTINGS.app.record}/tree\n" in step_of(found, "migrate").script
    alone = plan(replace(STATE, database=replace(STATE.database, revisions=(BASE,))), "migrate")
    assert f"tree={SETTINGS.app.path}\n" in step_of(alone, "migrate").script


def test_what_cannot_be_made_anew_can_be_undone_and_only_proof_and_dump_are_harmless() -> None:
    found = plan(PENDING).steps
    assert [step.name for step in found if step.undo] == ["sync", "migrate", "copy"]
    assert [step.name for step in found if step.harmless] == ["proof", "backup"]


def test_the_database_is_dumped_before_it_is_migrated_and_only_then() -> None:
    assert step_of(plan(PENDING), "backup").reason == "the database is migrated"
    assert [step.name for step in plan(PENDING, "migrate").steps] == ["backup", "migrate"]
    assert "backup" not in names(STATE)
    unstamped = replace(
        STATE, database=replace(STATE.database, revisions=(), columns={TIME_ZONE: "timestamp with time zone"})
    )
    assert step_of(plan(unstamped), "migrate").summary == (f"flask db stamp {HEAD}",)
    assert "backup" not in names(unstamped)


def test_where_no_dump_is_wanted_the_plan_says_that_there_is_none() -> None:
    unwanted = replace(SETTINGS, backup=Backup(before_migration=False))
    for found in (plan(PENDING, no_backup=True), plan(PENDING, settings=unwanted)):
        assert "backup" not in [step.name for step in found.steps]
        assert step_of(found, "migrate").summary[-1] == "without a dump before it"
    kept = [step.name for step in plan(PENDING, keep_schema=True).steps]
    assert kept == ["proof", "sync", "copy", "clean", "restart"]


def test_an_update_that_is_undone_leaves_the_database_and_says_where_it_is() -> None:
    found = plan(PENDING)
    undo = step_of(found, "migrate").undo
    assert f"\nwas={BASE}\n" in undo
    assert f"\nbackup={RUN}\n" in undo
    assert "\nundo_database=keep\n" in undo
    assert RESTARTS not in undo
    assert RESTARTS in step_of(found, "copy").undo
    assert "\nbackup=''\n" in step_of(plan(PENDING, no_backup=True), "migrate").undo


def test_where_the_undo_restores_the_database_the_app_is_started_with_that_and_not_before() -> None:
    restoring = replace(SETTINGS, undo=Undo("restore"))
    found = plan(PENDING, settings=restoring)
    assert "\nundo_database=restore\n" in step_of(found, "migrate").undo
    assert RESTARTS in step_of(found, "migrate").undo
    assert RESTARTS not in step_of(found, "copy").undo
    without = plan(PENDING, settings=restoring, no_backup=True)
    assert "\nundo_database=keep\n" in step_of(without, "migrate").undo
    assert RESTARTS in step_of(without, "copy").undo


def test_a_migration_alone_is_undone_only_by_its_dump() -> None:
    assert step_of(plan(PENDING, "migrate"), "migrate").undo == ""
    restoring = replace(SETTINGS, undo=Undo("restore"))
    assert "\nundo_database=restore\n" in step_of(plan(PENDING, "migrate", restoring), "migrate").undo


def test_a_restore_fills_a_new_database_before_it_touches_the_one_in_use() -> None:
    restore, swap = steps.restore.steps(SETTINGS, STATE, "20250101T000000-abcd", RUN)
    assert (restore.name, restore.harmless, restore.undo) == ("restore", True, "")
    assert "\nbackup=20250101T000000-abcd\n" in restore.script
    assert (swap.name, swap.harmless) == ("swap", False)
    assert swap.summary[0] == "docker compose -p whalefall -f /opt/whalefall/docker-compose.prod.yml stop whalefall"
    assert RESTARTS in swap.undo


def test_the_database_of_before_is_dropped_only_where_one_was_exchanged() -> None:
    assert "proven.sh" in steps.asides(SETTINGS, STATE, plan(PENDING), RUN)
    assert "proven.sh" not in steps.asides(SETTINGS, STATE, plan(STATE), RUN)


def test_an_update_is_confirmed_in_the_end_and_a_verb_alone_is_not() -> None:
    assert plan(STATE).confirm == SETTINGS.confirm.timeout
    assert plan(UPDATED).confirm == 0
    assert plan(STATE, "copy").confirm == 0


def test_every_finding_that_a_step_needs_is_one_that_a_check_tells() -> None:
    checks = "".join(file.read_text(encoding="utf-8") for file in Path(preflight.__file__).parent.glob("*.py"))
    told = set(re.findall(r'"([a-z ]+)"', checks))
    assert {name for step in steps.STEPS.values() for name in step.NEEDS} <= told


WRITABLE = replace(SETTINGS, proof=Proof(database="writable"))


def test_a_proof_that_may_write_to_the_database_comes_after_a_dump() -> None:
    found = plan(STATE, settings=WRITABLE)
    assert [step.name for step in found.steps][:2] == ["backup", "proof"]
    assert found.steps[0].reason == "the proof may write to the database"
    assert "\nwritable=1\n" in found.steps[1].script
    assert not found.steps[1].harmless
    assert "# Say where a step that may have written" in found.steps[1].undo


def test_a_rollback_with_such_a_proof_is_dumped_before_too() -> None:
    found = steps.plan("rollback", steps.ROLLBACK, WRITABLE, STATE, Options(keep_schema=True), RUN)
    assert [step.name for step in found.steps][:2] == ["backup", "proof"]


def test_without_a_proof_nothing_is_dumped_for_it() -> None:
    assert plan(UPDATED, settings=WRITABLE).steps == ()
    older = updated_app(programs=(replace(WEB, fresh=False),))
    assert [step.name for step in plan(older, settings=WRITABLE).steps] == ["restart"]


def test_a_proof_is_read_only_unless_the_settings_say_otherwise() -> None:
    proof = step_of(plan(STATE), "proof")
    assert "\nwritable=\n" in proof.script
    assert (proof.harmless, proof.undo) == (True, "")


def test_files_that_have_their_place_elsewhere_are_brought_there_after_the_copy_and_can_be_undone() -> None:
    place = "/etc/supervisor/conf.d/whalefall.conf"
    found = Installed(place, differs=True, edited=False, came=("beat",), changed=("whalefall_web",), went=("old",))
    made = plan(app(files={"supervisor": found}))
    assert [step.name for step in made.steps] == ["proof", "sync", "copy", "files", "clean", "restart"]
    step = step_of(made, "files")
    assert step.summary == (
        f"{place} := nginx/supervisor/whalefall-prod.conf",
        "supervisorctl reread",
        "supervisorctl update",
        "start beat",
        "restart whalefall_web",
        "stop old",
    )
    assert "inside uninstall" in step.undo
