"""How each program is replaced is decided from what was read, the gentlest way that works."""

from dataclasses import replace

import pytest

from deploy import programs
from deploy.settings.model import ProgramRestart
from deploy.state import Memory, Program, State
from tests.build import SCHEDULER, SETTINGS, STATE, WEB, app
from tests.build import programs as running
from tests.texts import as_text

CELERY = Program(id="c" * 12, name="celery -A app worker", supervised=False, server=False, fresh=True)
BEAT = replace(CELERY, id="d" * 12, name="beat", supervised=True)
LOOSE = replace(WEB, supervised=False)


def ways(state: State, **restart: object) -> dict[str, tuple[str, str]]:
    settings = replace(SETTINGS, restart=replace(SETTINGS.restart, **restart))  # type: ignore[arg-type]
    return {one.program.name: (one.way, as_text(one.because)) for one in programs.replacements(settings, state)}


def test_workers_are_rolled_and_a_program_that_must_never_run_twice_hands_over() -> None:
    assert ways(STATE) == {"whalefall_web": ("roll", ""), "whalefall_scheduler": ("handover", "")}


def test_a_master_whose_config_the_release_changes_reads_it_again() -> None:
    state = replace(STATE, changes=(("M", "nginx/gunicorn/gunicorn-prod.conf.py"),))
    assert ways(state)["whalefall_web"] == ("reload", "gunicorn.conf.py changes")
    assert ways(state)["whalefall_scheduler"] == ("handover", "")


def test_a_master_whose_config_changed_since_it_started_reads_it_again() -> None:
    assert ways(running(replace(WEB, reconfigure=True)))["whalefall_web"] == (
        "reload",
        "gunicorn.conf.py changed since it started",
    )


def test_what_must_never_run_twice_is_restarted_for_other_settings() -> None:
    state = replace(STATE, changes=(("M", "nginx/gunicorn/gunicorn-scheduler.conf.py"),))
    assert ways(state)["whalefall_scheduler"] == ("restart", "gunicorn-scheduler.conf.py changes")


def test_a_uwsgi_that_reloads_in_a_chain_does_so_and_for_other_settings_is_restarted() -> None:
    assert ways(running(WEB, chain=True))["whalefall_web"] == ("chain", "")
    told = ways(running(WEB, chain=True, reconfigure=True))["whalefall_web"]
    assert told == ("restart", "gunicorn.conf.py changed since it started")


@pytest.mark.parametrize(
    ("change", "because"),
    [
        ({"preload": True}, "the app is preloaded, so new workers would run the old code"),
        ({"problem": "the settings of gunicorn cannot be read"}, "the settings of gunicorn cannot be read"),
    ],
)
def test_a_master_that_cannot_be_rolled_is_restarted_alone_where_supervisor_started_it(
    change: dict[str, object], because: str
) -> None:
    assert ways(running(WEB, **change)) == {"whalefall_web": ("restart", because)}
    state = running(LOOSE, SCHEDULER, **change)
    assert ways(state)["whalefall_web"] == ("container", because)
    assert as_text(programs.obstacle(SETTINGS, state)) == f"whalefall_web: {because}"


def test_other_programs_are_restarted_by_supervisor_or_as_the_settings_say() -> None:
    state = running(WEB, CELERY, BEAT)
    assert ways(state)["beat"] == ("restart", "")
    assert ways(state)[CELERY.name] == ("leave", "")
    assert ways(state, programs={"celery": ProgramRestart(signal="HUP")})[CELERY.name] == ("signal", "")
    assert ways(state, programs={"celery": ProgramRestart(command="kill 1")})[CELERY.name] == ("command", "")


def test_what_nothing_restarts_is_no_reason_to_restart_anything() -> None:
    old = running(WEB, replace(CELERY, fresh=False))
    assert programs.stale(SETTINGS, old) == ()
    assert programs.stale(SETTINGS, old, left=True) == (CELERY.name,)
    assert programs.stale(SETTINGS, running(WEB, SCHEDULER, fresh=False)) == ("whalefall_web", "whalefall_scheduler")


def test_without_an_app_server_the_container_is_restarted() -> None:
    assert as_text(programs.obstacle(SETTINGS, running(CELERY))) == "no gunicorn runs"


@pytest.mark.parametrize(
    ("room", "free", "expected"),
    [(None, 4000, 8), (None, 250, 4), (100, 4000, 1), (300, 4000, 4), (20, 4000, 1)],
)
def test_no_more_workers_boot_at_once_than_there_is_memory_for(room: int | None, free: int, expected: int) -> None:
    web = replace(WEB, workers=8)
    memory = None if room is None else Memory(limit=1000, used=1000 - room, kills=0)
    state = replace(app(programs=(web,), worker_mib=50, memory_mib=free), memory=memory)
    assert programs.surge(SETTINGS, state, web) == expected


def test_the_settings_may_say_how_many_workers_boot_at_once() -> None:
    settings = replace(SETTINGS, restart=replace(SETTINGS.restart, surge=3))
    assert programs.surge(settings, STATE, WEB) == 3
