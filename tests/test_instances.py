"""Several containers that run the code: what is done in each, in which order, and what is said of those left out."""

from dataclasses import replace
from typing import Any, Literal

import pytest

from deploy import instances, preflight, steps
from deploy.plan import Options
from deploy.settings import Settings
from deploy.settings.model import Also, Undo
from deploy.state import Other, Probe, Program, State
from tests.build import APP, MIDDLE, RECORD, SETTINGS, STATE, WEB
from tests.texts import as_text

RUN = "20260101T000000-abcd"
WORKER = Program(id="c" * 12, name="celery -A app worker", supervised=False, server=False, fresh=True, processes=3)
ALSO: Settings = replace(SETTINGS, also={"worker": Also(service="celery_worker")})


def other(name: str, also: str = "", *programs: Program, status: str = "running", **changes: Any) -> Other:
    container = replace(STATE.containers["app"], name=name, service=also or "whalefall", status=status)
    there = replace(APP, programs=programs or (WEB,), built={} if also else APP.built)
    serves = any(program.server for program in there.programs)
    state = replace(STATE, containers={**STATE.containers, "app": container}, app=there, serves=serves)
    return Other(name, also, replace(state, first=False, replica=not also, crowded=not also, **changes))


def with_others(*others: Other) -> State:
    return replace(STATE, others=others)


def plan(settings: Settings, state: State) -> Any:
    return as_text(steps.plan("hot-update", steps.HOT_UPDATE, settings, state, Options(), RUN))


def findings(settings: Settings, state: State, level: str) -> list[str]:
    return [as_text(one.evidence) for one in preflight.judge(settings, state, Options()) if one.level == level]


def test_a_release_is_proven_once_and_copied_everywhere_before_anything_is_restarted() -> None:
    state = with_others(other("web-2"), other("worker-1", "worker", WORKER))
    assert [step.name for step in plan(ALSO, state).steps] == [
        "proof", "sync",
        "copy", "copy@web-2", "copy@worker-1",
        "clean", "clean@web-2", "clean@worker-1",
        "restart", "restart@web-2", "restart@worker-1",
    ]  # fmt: skip


def test_a_step_of_another_container_is_made_for_that_and_undone_there() -> None:
    found = plan(ALSO, with_others(other("worker-1", "worker", WORKER)))
    copied = next(step for step in found.steps if step.name == "copy@worker-1")
    assert ("\ncontainer=worker-1\n" in copied.script, "\ncontainer=worker-1\n" in copied.undo) == (True, True)


def test_what_serves_nobody_is_restarted_gracefully_and_waited_for_by_its_programs() -> None:
    found = plan(ALSO, with_others(other("worker-1", "worker", WORKER)))
    step = next(step for step in found.steps if step.name == "restart@worker-1")
    assert step.summary == (
        "docker compose -p whalefall -f /opt/whalefall/docker-compose.prod.yml restart celery_worker: "
        "celery -A app worker: it serves no requests",
        "no request fails, but its tasks wait meanwhile; one that outlasts the stop is cut off",
        "wait up to 120 s for celery -A app worker",
    )
    assert "\nanswers=()\n" in step.script


def test_one_of_several_replicas_is_restarted_by_its_name() -> None:
    ill = replace(WEB, preload=True, supervised=False)
    found = plan(SETTINGS, with_others(other("web-2", "", ill)))
    step = next(step for step in found.steps if step.name == "restart@web-2")
    assert step.summary[0].startswith("docker restart web-2: ")


def within(settings: Settings) -> Settings:
    """The same, where the app's check is asked from within."""
    checks = tuple(replace(one, inside=one.name == settings.restart.check) for one in settings.health.checks)
    return replace(settings, health=replace(settings.health, checks=checks))


def restart_of(settings: Settings, name: str) -> str:
    state = replace(with_others(other("web-2"), other("worker-1", "worker", WORKER)), crowded=True)
    found: str = next(step for step in plan(settings, state).steps if step.name == name).script
    return found


def test_each_of_several_is_asked_by_itself_and_has_to_be_well_before_the_next_is_restarted() -> None:
    for name in ("restart", "restart@web-2"):
        script = restart_of(within(ALSO), name)
        assert "\nanswers=(http://localhost:5001/api/v1/health/health" in script
        assert ("\nwell_timeout=60\n" in script, "\npause=2\n" in script) == (True, True)
    script = restart_of(within(ALSO), "restart@worker-1")
    assert ("\nanswers=()\n" in script, "\nwell_timeout=0\n" in script, "\npause=0\n" in script) == (True, True, True)


def test_through_a_proxy_one_of_several_is_not_asked_since_another_may_answer() -> None:
    for name in ("restart", "restart@web-2"):
        script = restart_of(ALSO, name)
        assert ("\nanswers=()\n" in script, "\nwell_timeout=0\n" in script) == (True, True)


def test_the_host_proves_a_replica_by_what_that_answers_itself_and_another_service_by_what_runs() -> None:
    settings, state = within(ALSO), with_others(other("web-2"), other("worker-1", "worker", WORKER))
    asked = {one.beside: [check.name for check in one.checks] for one in instances.each(settings, state)}
    assert asked == {"": ["nginx", "direct"], "web-2": ["direct"], "worker-1": []}
    proofs = steps.asides(settings, state, plan(settings, state), RUN)
    assert "\nprobes=(direct " in proofs["prove@web-2.sh"]
    assert "\nprobes=()\n" in proofs["prove@worker-1.sh"]


def test_a_replica_that_is_ill_by_itself_is_a_warning_with_its_name() -> None:
    one = other("web-2", probes={"direct": (Probe("http://localhost:5001/api/v1/health", 503),)})
    assert findings(within(SETTINGS), with_others(one), "warning") == [
        "web-2: http://localhost:5001/api/v1/health answers 503"
    ]


def test_a_step_waits_as_long_as_the_container_may_take_to_stop() -> None:
    quick, slow = (other("worker-1", "worker", WORKER) for _ in range(2))
    container = replace(slow.state.containers["app"], grace=600)
    slow = replace(slow, state=replace(slow.state, containers={"app": container}))
    limits = [plan(ALSO, with_others(one)).steps[-1].timeout for one in (quick, slow)]
    assert limits[1] - limits[0] == 600


def test_what_a_setting_says_of_another_service_goes_over_what_is_the_apps() -> None:
    also = Also(service="celery_worker", path="/srv/app", user="celery")
    found = plan(replace(SETTINGS, also={"worker": also}), with_others(other("worker-1", "worker", WORKER)))
    script = next(step for step in found.steps if step.name == "copy@worker-1").script
    assert ("\napp_path=/srv/app\n" in script, "\napp_user=celery\n" in script) == (True, True)


def test_a_container_that_lags_behind_calls_for_the_release_again() -> None:
    current = replace(APP, record=replace(RECORD, revision=STATE.repository.target), differs={})
    updated = replace(STATE, app=current, repository=replace(STATE.repository, head=STATE.repository.target))
    behind = other("worker-1", "worker", WORKER)
    assert [step.name for step in plan(ALSO, replace(updated, others=(behind,))).steps] == [
        "proof", "copy@worker-1", "clean@worker-1", "restart@worker-1",
    ]  # fmt: skip


def test_a_service_of_the_same_image_that_no_setting_names_is_a_warning() -> None:
    state = replace(STATE, unlisted={"beat-1": "celery_beat"})
    assert findings(SETTINGS, state, "warning") == [
        "beat-1, of the service celery_beat, has the image of the app and goes on with the old code"
    ]


def test_a_service_without_a_container_is_a_warning_and_one_that_stopped_a_refusal() -> None:
    assert findings(ALSO, STATE, "warning") == [
        "Compose made no container of the service celery_worker in /opt/whalefall"
    ]
    stopped = other("worker-1", "worker", WORKER, status="exited")
    assert findings(ALSO, with_others(stopped), "refusal") == ["worker-1 is exited"]


def test_what_is_found_in_another_container_is_told_with_its_name() -> None:
    one = other("worker-1", "worker", WORKER)
    ill = replace(one, state=replace(one.state, app=replace(APP, programs=(WORKER,), problems=(STATE.engine_problem,))))
    assert [told for told in findings(ALSO, with_others(ill), "warning") if told.startswith("worker-1: ")]


def test_drift_in_any_container_is_drift() -> None:
    changed = other("worker-1", "worker", WORKER)
    changed = replace(changed, state=replace(changed.state, app=replace(APP, drift=("app.py",))))
    assert as_text(preflight.drift(with_others(changed))) == "worker-1: changed by hand: app.py"


@pytest.mark.parametrize(("kind", "expected"), [("postgres", ()), ("mysql", ("worker-1",)), ("sqlite", ("worker-1",))])
def test_who_is_not_stopped_must_not_write_to_a_database_that_is_replaced_in_its_place(
    kind: Literal["postgres", "mysql", "sqlite"], expected: tuple[str, ...]
) -> None:
    settings = replace(ALSO, database=replace(ALSO.database, kind=kind), undo=Undo("restore"))
    state = with_others(other("worker-1", "worker", WORKER))
    assert steps.restore.writers(settings, state) == expected
    migrated = replace(state, database=replace(state.database, revisions=(MIDDLE,)))
    assert steps.restore.undoes(settings, migrated, Options()) is not bool(expected)
