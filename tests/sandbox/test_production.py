"""Updates of production as it is today, on the real stack, while users ask it: no request fails, nothing stays old."""

import json
import time

import pytest

from deploy.sandbox import stack
from deploy.sandbox.command import run
from deploy.sandbox.compose import execute
from deploy.sandbox.home import Sandbox
from tests.bench.client import asking
from tests.bench.figures import Request
from tests.sandbox.conftest import Ended, Inv, SettingsFile
from tests.sandbox.scheduler import life, overlaps, twice

pytestmark = pytest.mark.stack

SUPERVISED, TEMPLATE = "/etc/supervisor/conf.d/whalefall.conf", "/etc/nginx/templates/whalefall-prod.template"
SITE = "/etc/nginx/sites-available/whalefall"
STATUS = "/api/v1/scheduler/status"


@pytest.fixture(autouse=True)
def up_to_date(today: Sandbox, inv_today: Inv) -> None:
    """Begin with what origin has; what a bad release brought the next one takes out again."""
    words = ("hot-update", "--yes", "--with", "nginx", "--keep-built")
    if inv_today(*words).code:
        stack.release(today.name, "code")
        updated = inv_today(*words)
        assert updated.code == 0, updated.text


def update(sandbox: Sandbox, inv: Inv, kind: str, *words: str, rate: int = 20) -> tuple[Ended, list[Request]]:
    stack.release(sandbox.name, kind)
    doors: dict[str, int | str] = {
        "nginx": sandbox.http_port,
        "direct": sandbox.app_port,
        "scheduler": f"{sandbox.http_port}{STATUS}",
    }
    with asking(doors, rate) as requests:
        ended = inv("hot-update", "--yes", *words)
    return ended, requests


def failed(requests: list[Request]) -> list[Request]:
    return [request for request in requests if not request.good]


def since(sandbox: Sandbox) -> str:
    """When the container was started."""
    return run("docker", "inspect", "--format", "{{.State.StartedAt}}", sandbox.app)


def started(sandbox: Sandbox) -> set[str]:
    """Since when which of the container's processes are there: what Supervisor and the masters are told by."""
    return set(execute(sandbox.app, "ps", "-o", "pid=,lstart=", "--ppid", "1").splitlines())


def contents(sandbox: Sandbox) -> str:
    return execute(sandbox.app, "sha256sum", SUPERVISED, TEMPLATE, SITE)


@pytest.mark.does("bring_file")
@pytest.mark.parametrize(
    ("kind", "words", "rate"),
    [
        ("code", (), 20),
        ("migration", (), 20),
        ("gunicorn", (), 20),
        ("supervisor-program", (), 20),
        ("nginx", ("--with", "nginx"), 20),
    ],
)
def test_no_request_fails_and_no_job_runs_twice(
    today: Sandbox, inv_today: Inv, kind: str, words: tuple[str, ...], rate: int
) -> None:
    container = since(today)
    ended, requests = update(today, inv_today, kind, *words, rate=rate)
    assert ended.code == 0, ended.text
    assert (failed(requests), {request.door for request in requests}) == ([], {"nginx", "direct", "scheduler"})
    assert since(today) == container
    found = life(today)
    assert (overlaps(found), twice(found)) == ([], [])
    assert inv_today("hot-update", "--yes").out.startswith(f"hot-update of {today.name}: nothing to do")


def test_the_plan_says_how_each_program_is_replaced(today: Sandbox, inv_today: Inv) -> None:
    stack.release(today.name, "gunicorn")
    told = inv_today("hot-update", "--dry-run").out
    assert "whalefall_web: has to read its settings again, since gunicorn.conf.py changes" in told
    assert "whalefall_scheduler: its worker leaves before the next one starts" in told


def test_containers_that_the_settings_do_not_name_are_those_that_compose_made_for_the_services(
    today: Sandbox, inv_today: Inv, given: SettingsFile
) -> None:
    stack.release(today.name, "code")
    unnamed = given("".join(f"{section}: {{container: ''}}\n" for section in ("app", "database", "redis")))
    ended = inv_today(*unnamed, "hot-update", "--yes")
    assert (ended.code, f"in {today.app}" in ended.out) == (0, True), ended.text
    assert f"{today.database} is running" in inv_today(*unnamed, "preflight").out
    missing = inv_today(*given("redis: {container: '', service: cache}"), "preflight")
    assert (missing.code, f"Compose made no container of the service cache in {today.path}" in missing.text) == (
        3,
        True,
    )


def test_a_site_that_nginx_does_not_take_is_undone_before_anything_served_it(today: Sandbox, inv_today: Inv) -> None:
    before = contents(today)
    ended, requests = update(today, inv_today, "nginx-broken", "--with", "nginx")
    assert (ended.code, "no_such_directive" in ended.text) == (5, True), ended.text
    assert (failed(requests), contents(today)) == ([], before)
    found = life(today)
    assert (overlaps(found), twice(found)) == ([], [])


def test_a_site_is_left_where_nobody_asked_for_it_and_that_is_told(today: Sandbox, inv_today: Inv) -> None:
    before = contents(today)
    ended, _ = update(today, inv_today, "nginx")
    assert (ended.code, contents(today)) == (0, before), ended.text
    assert f"{TEMPLATE} is not that of the release, and is brought there only when asked for" in ended.out


def test_supervisors_settings_that_were_changed_by_hand_are_left(today: Sandbox, inv_today: Inv) -> None:
    kept = execute(today.app, "cat", SUPERVISED)
    execute(today.app, "tee", "-a", SUPERVISED, stdin="; by hand\n")
    try:
        ended, _ = update(today, inv_today, "supervisor-program")
        assert ended.code == 0, ended.text
        assert f"{SUPERVISED} was changed by hand" in ended.out
        assert execute(today.app, "tail", "-n", "1", SUPERVISED) == "; by hand\n"
    finally:
        execute(today.app, "tee", SUPERVISED, stdin=kept)


def test_after_a_release_that_does_not_boot_all_programs_run_on(today: Sandbox, inv_today: Inv) -> None:
    before = started(today)
    ended, requests = update(today, inv_today, "broken-import")
    assert (ended.code, failed(requests), started(today)) == (3, [], before), ended.text
    stack.release(today.name, "code")


def test_what_else_runs_the_code_is_restarted_by_supervisor(today: Sandbox, inv_today: Inv) -> None:
    stack.release(today.name, "supervisor-program")
    assert inv_today("hot-update", "--yes").code == 0
    time.sleep(2)
    before = execute(today.app, "sh", "-c", "supervisorctl status | grep disk_watch")
    ended, requests = update(today, inv_today, "code")
    assert (ended.code, failed(requests)) == (0, []), ended.text
    assert "whalefall_disk_watch" in ended.out
    assert execute(today.app, "sh", "-c", "supervisorctl status | grep disk_watch") != before
    assert json.loads(inv_today("health", "--json").out)["drift"] is None


def test_a_program_that_nothing_restarts_is_told_before_and_afterwards(today: Sandbox, inv_today: Inv) -> None:
    job = "cd /app && nohup /app/.venv/bin/python -c 'import time; time.sleep(600)' >/dev/null 2>&1 & sleep 0.2"
    # Docker's own command would be its parent, and who comes in from outside is none of the container's programs.
    execute(today.app, "sh", "-c", f'setsid sh -c "{job}" & sleep 0.5')
    try:
        ended, _ = update(today, inv_today, "code")
        assert ended.code == 0, ended.text
        assert "nothing restarts python -c import time; time.sleep(600)" in ended.out
        assert "runs on with the old code" in ended.out
        assert "older than the code" in inv_today("health").out
    finally:
        execute(today.app, "pkill", "-f", "import time; time.sleep")


# Has a process below it, as a Celery worker has; by HUP it becomes what it was started as.
JOB = """
import os, signal, subprocess, sys, time
below = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with open("/tmp/job.pids", "w") as pids:
    pids.write(f"{os.getpid()} {below.pid}")
def leave(number, _):
    below.kill(), below.wait()
    if number == signal.SIGHUP:
        os.execv(sys.executable, [sys.executable, __file__])
    sys.exit()
signal.signal(signal.SIGHUP, leave), signal.signal(signal.SIGTERM, leave)
while True:
    time.sleep(600)
"""
START = "cd /app; setsid nohup /app/.venv/bin/python /tmp/job.py >/dev/null 2>&1 & sleep 0.5"


@pytest.mark.parametrize(
    "way", [f"command: 'kill $(cut -d \" \" -f 1 /tmp/job.pids); {START}'", "signal: HUP"], ids=["command", "signal"]
)
def test_a_program_that_only_the_settings_can_restart_is_restarted_as_they_say(
    today: Sandbox, inv_today: Inv, given: SettingsFile, way: str
) -> None:
    execute(today.app, "tee", "/tmp/job.py", stdin=JOB)
    # Docker's own command would be its parent, and who comes in from outside is none of the container's programs.
    execute(today.app, "sh", "-c", f"setsid sh -c '{START}' & sleep 0.7")
    before = execute(today.app, "cat", "/tmp/job.pids").split()
    try:
        stack.release(today.name, "code")
        ended = inv_today("hot-update", "--yes", *given(f"restart: {{programs: {{job.py: {{{way}}}}}}}"))
        assert ended.code == 0, ended.text
        assert not [line for line in ended.out.splitlines() if "job.py" in line and "runs on" in line]
        after = execute(today.app, "cat", "/tmp/job.pids").split()
        assert (after[1] != before[1], "older than the code" in inv_today("health").out) == (True, False)
    finally:
        execute(today.app, "pkill", "-f", "/tmp/job.py")
