"""The likely cause comes first, with what shows it and what to do; nothing is said where nothing is wrong."""

from dataclasses import replace

import pytest

from deploy.diagnosis.containers import seconds_between
from deploy.diagnosis.facts import Place, Process, Program
from deploy.message import Printed, pack, say
from deploy.shell import record
from deploy.state import Memory, Page, PastRun
from tests.build import STATE, app, database, repository
from tests.diagnosis.build import APP, DATABASE, FACTS, checks_of, container, found, ill, stopped

ALL_ILL = ill(nginx=502, direct=None)
TRACEBACK = ("/app/userdata/logs/gunicorn_error.log", "ModuleNotFoundError: No module named 'yaml'")
RUN = PastRun(
    1767312010, "20260102T000000-aaaa", "hot-update", "me@laptop", "1" * 40, "2" * 40, 1767312000, "undone",
    "migrate 1 ", (("migrate", 1, 4.0),),
)  # fmt: skip


def test_nothing_is_found_where_all_is_well() -> None:
    assert found() == ()


def test_without_docker_nothing_is_said_of_what_nobody_can_see() -> None:
    state = replace(
        STATE, tools={**STATE.tools, "docker": ""}, engine="", compose="", containers={}, app=None, probes={}
    )
    (one,) = found(state, facts=replace(FACTS, containers=(), files=(), sent=()))
    assert (one.check, one.cause) == ("tools", "not installed on the host: docker")


def test_an_engine_that_does_not_answer_is_the_cause_of_all() -> None:
    state = replace(STATE, engine="", engine_problem=Printed("Is the docker daemon running?"), containers={}, app=None)
    first, *others = found(state, ALL_ILL, replace(FACTS, containers=(), files=(), sent=()))
    assert (first.cause, others) == ("Docker does not answer: Is the docker daemon running?", [])
    assert first.evidence[-1] == "direct: http://localhost/direct no answer: connection refused"


def test_compose_that_is_missing_shows_what_docker_says() -> None:
    facts = replace(FACTS, compose_problem=Printed("'compose' is not a docker command"), legacy="1.29.2")
    (one,) = found(replace(STATE, compose=""), facts=facts)
    assert (one.check, one.evidence) == (
        "compose",
        ("'compose' is not a docker command", "docker-compose 1.29.2 is there"),
    )


def test_compose_that_does_not_take_its_file_is_found() -> None:
    (one,) = found(facts=replace(FACTS, config_problem=Printed("yaml: line 3: did not find expected key")))
    assert (one.cause, one.evidence) == (
        "Compose does not take docker-compose.prod.yml",
        ("yaml: line 3: did not find expected key",),
    )
    assert "config -q" in one.remedies[0]


def test_a_full_disk_is_told_once_and_as_the_host_s() -> None:
    places = (Place(APP, "/", 90000, 10, 10**6), Place("", "/", 90000, 12, 10**6))
    (one,) = found(facts=replace(FACTS, places=places))
    assert (one.cause, one.evidence) == ("the disk is full: / on the host", ("12 of 90000 MiB are free",))


def test_a_disk_without_inodes_is_full_too() -> None:
    (one,) = found(facts=replace(FACTS, places=(Place("", "/srv", 90000, 9000, 3),)))
    assert one.evidence == ("9000 of 90000 MiB are free, and 3 inodes",)


def test_a_stopped_container_is_the_cause_and_the_checks_show_it() -> None:
    facts = container(
        APP,
        status="exited",
        code=1,
        finished="2026-01-02T00:00:00.5Z",
        printed=(Printed("bye"),),
        logs={"/app/error.log": (Printed("ERROR old"), Printed("Starting gunicorn"), Printed("ValueError: new"))},
    )
    (one,) = found(stopped("app"), ALL_ILL, facts)
    assert one.cause == f"{APP} is exited"
    assert one.evidence[:3] == (
        "it ended with status 1 at 2026-01-02T00:00:00 UTC",
        "it printed: bye",
        "/app/error.log: ValueError: new",
    )
    assert (len(one.evidence), one.remedies) == (5, (f"on the host: docker start {APP}",))


def test_a_container_that_was_killed_for_want_of_memory_is_told_so() -> None:
    (one,) = found(stopped("app"), facts=container(APP, status="exited", code=137, killed=True))
    assert one.cause == f"{APP} was killed for want of memory, says docker (OOMKilled)"
    assert one.remedies[0].startswith("raise the memory limit")


def test_a_container_that_ends_again_and_again_tells_its_last_words() -> None:
    facts = container(
        APP, status="restarting", code=2, restarts=5, words=Printed("Error: no section"), printed=TRACEBACK[1:]
    )
    (one,) = found(stopped("app", "restarting"), facts=facts)
    assert one.cause == f"{APP} ends again and again: Error: no section"
    assert "it was started again 5 times" in one.evidence
    assert [remedy.partition(" ")[0] for remedy in one.remedies] == ["yaml", "on"]


@pytest.mark.parametrize(("started", "health", "told"), [
    ("2026-01-01T23:55:00Z", "starting", True),
    ("2026-01-01T23:55:00Z", "healthy", False),
    ("2026-01-01T20:00:00Z", "", False),
])  # fmt: skip
def test_one_that_was_started_again_is_told_until_it_has_settled(started: str, health: str, told: bool) -> None:
    facts = container(DATABASE, restarts=2, started=started, health=health)
    assert bool(found(facts=facts)) == told


def test_a_service_that_docker_calls_unhealthy_is_found() -> None:
    (one,) = found(facts=container(DATABASE, health="unhealthy", printed=(Printed("no space"),)))
    assert (one.cause, one.evidence) == (f"Docker's health check of {DATABASE} fails", ("no space",))


def test_processes_that_the_kernel_killed_are_told() -> None:
    (one,) = found(facts=container(APP, memory=Memory(400, 207, 3)))
    assert one.cause == f"the kernel has killed processes in {APP} for want of memory: 3"
    assert one.evidence == ("it has 207 MiB in use, its limit: 400 MiB",)


def test_what_does_not_run_now_explains_more_than_what_the_kernel_killed_at_some_time() -> None:
    facts = container(APP, programs=(Program("nginx", "STOPPED", Printed("")),), memory=Memory(400, 207, 1))
    assert [one.check for one in found(checks=ill(nginx=None), facts=facts)] == ["supervisor", "memory"]


def test_what_supervisor_does_not_run_is_the_cause() -> None:
    facts = container(APP, programs=(Program("nginx", "STOPPED", Printed("Jan 01")),))
    (one,) = found(checks=ill(nginx=None), facts=facts)
    assert (one.check, one.cause) == ("supervisor", f"Supervisor does not run nginx in {APP}: STOPPED")
    assert one.remedies == (f"on the host: docker exec {APP} supervisorctl start nginx",)


def test_a_program_that_ended_by_itself_shows_the_last_error() -> None:
    state = replace(STATE, logs=(TRACEBACK,), probes={})
    (one,) = found(state, ALL_ILL, container(APP, programs=(Program("whalefall_web", "FATAL"),)))
    assert one.evidence[0] == f"last error in the logs: {TRACEBACK[1]}"
    assert one.remedies[0].startswith("yaml is not installed in the image")


def test_settings_that_nginx_does_not_take_are_the_cause_of_what_does_not_answer() -> None:
    facts = container(APP, nginx=1, nginx_lines=(Printed("[emerg] unexpected end of file"),))
    (one,) = found(checks=ill(nginx=None), facts=facts)
    assert one.cause == f"Nginx in {APP} does not take its settings"
    assert one.evidence[0] == "[emerg] unexpected end of file"


def test_an_app_that_does_not_boot_is_told_with_its_error_and_its_processes() -> None:
    state = replace(STATE, logs=(TRACEBACK,), probes={})
    young = (Process(12, 0, 1, Printed("/app/.venv/bin/python /app/.venv/bin/gunicorn x")),)
    (one,) = found(state, ALL_ILL, container(APP, processes=young))
    assert one.cause == f"the app does not answer: {TRACEBACK[1]}"
    assert "nginx: no process" in one.evidence
    assert "gunicorn: 1 process, the youngest for 0 s" in one.evidence
    assert "nginx: http://localhost/nginx answered 502" in one.evidence


def test_an_app_whose_processes_live_and_answer_nothing_stands_still() -> None:
    (one,) = found(checks=ill(nginx=504, direct=None))
    assert one.cause.startswith("the app takes requests and answers none")
    assert one.remedies[0] == "inv restart --target prod"


def test_what_stands_before_an_app_that_answers_is_the_cause() -> None:
    (one,) = found(checks=ill(nginx=502))
    assert one.cause == "what stands before the app answers 502, and the app itself answers"


def test_an_app_that_is_ill_for_no_reason_that_is_seen_is_told_as_it_is() -> None:
    (one,) = found(checks=ill(direct=503))
    assert one.cause == "prod is not healthy, and nothing else that was looked at is wrong"
    assert one.remedies[0] == "inv logs --target prod shows the logs"


def test_a_database_that_does_not_answer_shows_what_its_server_printed() -> None:
    facts = container(DATABASE, printed=(Printed("FATAL: too many"),))
    (one,) = found(database(problem=Printed("connection refused")), ill(direct=503), facts)
    assert (one.check, one.evidence[0]) == ("database", "it printed: FATAL: too many")


def test_an_unknown_revision_is_told_with_the_heads() -> None:
    (one,) = found(database(revisions=("20990101000000",)))
    assert one.evidence == ("the database is at: 20990101000000", "the code's heads: 20251224134000")
    assert one.remedies[-1].startswith("inv migrate --current --target prod")


def test_a_remote_that_cannot_be_asked_is_told_with_its_address() -> None:
    (one,) = found(repository(fetch_problem=Printed("could not resolve host")))
    assert one.cause == "git fetch origin failed: could not resolve host"
    assert one.evidence == ("origin git@example.com:whalefall.git",)


def test_a_clone_that_has_diverged_is_told_so() -> None:
    (one,) = found(repository(unpushed=(say("%s %s", "333", "a fix"),)))
    assert one.evidence == ("diverged: the remote has 1 commit that the clone does not have",)


def test_uncommitted_changes_are_told_after_what_users_notice() -> None:
    state = replace(repository(uncommitted=("README.md",)), probes={})
    assert checks_of(found(state, ALL_ILL)) == ["app", "work tree"]


def test_code_that_was_changed_by_hand_is_told() -> None:
    (one,) = found(app(drift=("app/page.py",)))
    assert (one.cause, one.evidence) == ("what runs is not what was deployed", ("changed by hand: app/page.py",))


def test_a_maintenance_page_that_users_get_is_told() -> None:
    (one,) = found(app(page=Page("/etc/nginx/site", "", True)))
    assert one.cause == "the maintenance page: on: users get a page (503)"


def test_the_last_run_is_told_where_it_failed_and_nobody_decided_so() -> None:
    (one,) = found(replace(STATE, history=(replace(RUN, why="migrate 1 no such table"),)))
    assert one.cause == "the last run, hot-update by me@laptop, failed at migrate"
    assert one.evidence == ("no such table",)
    assert found(replace(STATE, history=(replace(RUN, why="confirm 143 Ctrl-C"),))) == ()
    assert found(replace(STATE, history=(RUN, replace(RUN, outcome="done", why="")))) == ()


def test_the_last_run_shows_what_its_step_complained_of() -> None:
    journal = tuple(
        Printed(record("1.5", *fields))
        for fields in (
            ("line", "sync", "ValueError: of another step"),
            ("message", "migrate", pack(say("attempt %s", 1))),
            ("line", "migrate", "sqlalchemy.exc.ProgrammingError: no such column"),
            ("end", "migrate", "1"),
        )
    )
    state = replace(STATE, history=(RUN,))
    (one,) = found(state, facts=replace(FACTS, journals={RUN.id: journal}))
    assert one.evidence == ("sqlalchemy.exc.ProgrammingError: no such column",)
    (one,) = found(state, facts=replace(FACTS, journals={RUN.id: journal[:2]}))
    assert one.evidence == ("attempt 1",)


def test_a_run_that_died_is_told() -> None:
    (one,) = found(replace(STATE, holder={"verb": "copy", "operator": "me", "run": "1"}))
    assert one.cause == "copy by me, run 1, died before its end"


def test_a_moment_that_is_none_is_no_time_ago() -> None:
    assert seconds_between("2026-01-01T00:00:00.5Z", "20260101T000130") == 90
    assert seconds_between("", "20260101T000130") is None
