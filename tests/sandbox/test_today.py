"""The sandbox in today's shape, on the real stack: what the facts say of the app."""

import json
import re
import time
import urllib.request
from pathlib import Path

import pytest

from deploy.errors import Exit, Failure
from deploy.sandbox import compose, releases, stack
from deploy.sandbox.command import run, works
from deploy.sandbox.compose import answer, execute
from deploy.sandbox.git import git
from deploy.sandbox.home import Sandbox, load
from deploy.sandbox.origin import DEPLOYED
from deploy.wording import text
from tests.sandbox.conftest import Inv
from tests.sandbox.scheduler import Span, life, overlaps, spans, twice
from tests.texts import as_text

pytestmark = pytest.mark.stack

SITE, TEMPLATE = "/etc/nginx/sites-available/whalefall", "/etc/nginx/templates/whalefall-prod.template"
SUPERVISED = "/etc/supervisor/conf.d/whalefall.conf"
VALUES = {
    "SERVER_NAMES": "localhost whalefall.example",
    "SSL_CERTIFICATE": "/etc/nginx/whalefall.crt",
    "SSL_CERTIFICATE_KEY": "/etc/nginx/whalefall.key",
}
WEB = "/app/gunicorn.conf.py"
SCHEDULER = "/app/nginx/gunicorn/gunicorn-scheduler.conf.py"
STATUS = "/api/v1/scheduler/status"
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def workers(sandbox: Sandbox, config: str) -> list[int]:
    """Return the workers of the one master that has this config file."""
    rows = [line.split(None, 3) for line in execute(sandbox.app, "ps", "-eo", "pid=,ppid=,user=,args=").splitlines()]
    mine = {
        int(pid): int(ppid) for pid, ppid, user, args in rows if user == "root" and f"--config {config} wsgi" in args
    }
    (master,) = [pid for pid, parent in mine.items() if parent == 1]
    return [pid for pid, parent in mine.items() if parent == master]


def headers(sandbox: Sandbox, path: str) -> list[str]:
    """Return what Nginx says of how long an answer may be kept."""
    with _opener.open(f"http://127.0.0.1:{sandbox.http_port}{path}", timeout=10) as response:
        return response.headers.get_all("Cache-Control") or []


def published(sandbox: Sandbox, kind: str) -> set[str]:
    """Publish a release after one that takes out what earlier ones brought; return the files that it changed."""
    stack.release(sandbox.name, "code")
    commit = stack.release(sandbox.name, kind)
    return set(git(sandbox.origin, "diff", "--name-only", f"{commit}^", commit).splitlines())


def rendered(template: str) -> str:
    for name, value in VALUES.items():
        template = template.replace(f"${{WHALEFALL_NGINX_{name}}}", value)
    return template


def nginx_takes(sandbox: Sandbox, site: str) -> bool:
    kept = execute(sandbox.app, "cat", SITE)
    execute(sandbox.app, "tee", SITE, stdin=site)
    try:
        return works("docker", "exec", sandbox.app, "nginx", "-t")
    finally:
        execute(sandbox.app, "tee", SITE, stdin=kept)


def programs(sandbox: Sandbox) -> dict[str, str]:
    """Return what Supervisor says of each program; Failure where one does not run."""
    rows = execute(sandbox.app, "supervisorctl", "status").splitlines()
    return {name: f"{state} {pid}" for name, state, _, pid, *_ in (row.split() for row in rows)}


def supervise(sandbox: Sandbox, config: str) -> None:
    execute(sandbox.app, "tee", SUPERVISED, stdin=config)
    execute(sandbox.app, "supervisorctl", "update")
    # It takes a program for running after a second.
    time.sleep(2)


def test_a_master_serves_with_two_workers_and_another_schedules_with_one(today: Sandbox) -> None:
    assert len(workers(today, WEB)) == 2
    (scheduler,) = workers(today, SCHEDULER)
    assert json.loads(answer(today.http_port, STATUS)[1])["pid"] == scheduler
    tables = execute(today.app, "sh", "-c", "cat /proc/net/tcp")
    assert {f"00000000:{5001:04X}", f"0100007F:{5002:04X}"} <= set(re.findall(r"(\S+) 00000000:0000 0A", tables))


def test_the_programs_differ_by_config_file_and_environment_alone(today: Sandbox) -> None:
    told = {}
    for config in (WEB, SCHEDULER):
        (pid, *_) = workers(today, config)
        environment = execute(today.app, "cat", f"/proc/{pid}/environ").split("\0")
        told[config] = {line for line in environment if not line.startswith("SUPERVISOR_")}
        assert execute(today.app, "readlink", f"/proc/{pid}/cwd") == "/app\n"
    assert told[WEB] - told[SCHEDULER] == {"ENABLE_SCHEDULER=false"}
    assert told[SCHEDULER] - told[WEB] == {"ENABLE_SCHEDULER=true"}
    assert "PYTHONDONTWRITEBYTECODE=1" in told[WEB]


def test_nginx_sends_the_schedulers_routes_to_it_and_the_apps_to_the_web_workers(today: Sandbox) -> None:
    assert answer(today.app_port, STATUS)[0] == 503
    assert answer(today.http_port, STATUS)[0] == 200
    assert json.loads(answer(today.http_port, "/api/v1/health")[1])["data"]["status"] == "healthy"
    assert "release" in answer(today.http_port, "/old/")[1]


def test_nginx_serves_the_frontend_that_the_image_was_built_with(today: Sandbox) -> None:
    page = answer(today.http_port, "/")[1]
    assets = re.findall(r'"(/assets/main-[0-9a-f]{8}\.(?:js|css))"', page)
    assert len(assets) == 2
    assert [headers(today, path) for path in ("/", "/index.html")] == [["no-store"], ["no-store"]]
    assert [headers(today, path) for path in assets] == [["max-age=31536000", "public, immutable"]] * 2
    assert answer(today.http_port, "/assets/main-00000000.js")[0] == 404


def test_git_does_not_see_a_build_in_the_clone(today: Sandbox) -> None:
    run(*stack.ssh_command(today.name), f"sh {today.path}/frontend/build")
    try:
        assert (today.path / "frontend/dist/index.html").exists()
        assert git(today.path, "status", "--porcelain") == ""
    finally:
        run("rm", "-r", today.path / "frontend/dist")


def test_a_build_of_what_was_deployed_makes_what_the_image_has(today: Sandbox, tmp_path: Path) -> None:
    sums = "find . -type f -exec sha256sum {} + | sort"
    of_image = run("docker", "run", "--rm", "--entrypoint", "sh", today.image, "-ec", f"cd /app/frontend/dist; {sums}")
    run("sh", "-ec", f"git -C {today.origin} archive {DEPLOYED} frontend | tar -x -C {tmp_path}")
    run("sh", tmp_path / "frontend/build")
    assert run("sh", "-ec", sums, cwd=tmp_path / "frontend/dist") == of_image


def test_the_site_is_rendered_from_the_repositorys_template_when_the_container_starts(today: Sandbox) -> None:
    of_image = run("docker", "run", "--rm", "--entrypoint", "cat", today.image, TEMPLATE)
    assert of_image.rstrip("\n") == git(today.origin, "show", f"{DEPLOYED}:{releases.SITE}")
    assert execute(today.app, "cat", SITE) == rendered(execute(today.app, "cat", TEMPLATE))
    assert execute(today.app, "readlink", "/etc/nginx/sites-enabled/whalefall") == f"{SITE}\n"


def test_the_schedulers_one_worker_runs_every_job_once(today: Sandbox) -> None:
    before = life(today)[-1]
    time.sleep(2.5)
    found = life(today)
    (scheduler,) = workers(today, SCHEDULER)
    assert found[-1].pid == scheduler
    assert found[-1].end - before.end >= 2
    new = [second for second in found[-1].jobs if second > before.end]
    assert len(new) >= 2
    assert new == list(range(new[0], new[-1] + 1))
    assert (overlaps(found), twice(found)) == ([], [])


def test_a_restart_of_the_container_brings_everything_back(today: Sandbox) -> None:
    before = len(life(today))
    run("docker", "restart", today.app)
    compose.wait_until_healthy(today)
    assert (len(workers(today, WEB)), len(workers(today, SCHEDULER))) == (2, 1)
    found = life(today)
    assert (len(found), overlaps(found), twice(found)) == (before + 1, [], [])


def test_spans_that_overlap_and_jobs_that_run_twice_are_found() -> None:
    found = spans("begin 7 1.0\nbeat 7 2.1\njob 7 2\nbegin 8 2.05\nbeat 7 2.15\nbeat 8 2.2\njob 8 2\nbegin 7 9.0\n")
    assert found == [Span(7, 1.0, 2.15, (2,)), Span(8, 2.05, 2.2, (2,)), Span(7, 9.0, 9.0)]
    assert (overlaps(found), twice(found)) == ([(found[0], found[1])], [2])


def test_both_programs_crash_in_a_crash_loop_and_come_back(today: Sandbox) -> None:
    stack.break_(today.name, "crash-loop")
    assert answer(today.app_port, "/") == (0, "")
    assert (answer(today.http_port, STATUS)[0], answer(today.http_port, "/")[0]) == (502, 200)
    stack.restore(today.name)
    assert (answer(today.http_port, STATUS)[0], answer(today.app_port, "/")[0]) == (200, 200)


@pytest.mark.parametrize(("kind", "more"), [("recreated", 0), ("replica", 1)])
def test_a_container_that_was_made_anew_or_doubled_is_one_again(today: Sandbox, kind: str, more: int) -> None:
    stack.break_(today.name, kind)
    assert len(compose.replicas(today)) == more
    stack.restore(today.name)
    assert compose.replicas(today) == []
    assert (len(workers(today, WEB)), len(workers(today, SCHEDULER))) == (2, 1)


def test_an_import_can_be_had_to_compute_instead_of_to_wait(today: Sandbox) -> None:
    clock = "import time; from app import import_time; import_time.spend(); print(time.process_time())"
    given = ("IMPORT_SECONDS=1.5", "IMPORT_BUSY={}", "/app/.venv/bin/python", "-c", clock)
    took = [float(compose.in_app(today, *(word.format(busy) for word in given))) for busy in ("false", "true")]
    assert took[0] < 1.5 <= took[1]


def test_an_update_is_made_and_the_scheduler_is_among_what_is_asked(today: Sandbox, inv_today: Inv) -> None:
    commit = stack.release(today.name, "code")
    updated = inv_today("hot-update", "--yes")
    assert updated.code == 0, updated.text
    assert "✓ scheduler: " in updated.out
    assert f"{today.name} runs {commit[:7]} and is healthy" in updated.out
    assert twice(life(today)) == []


def test_a_sandbox_keeps_its_shape_and_another_one_is_refused(today: Sandbox) -> None:
    assert load(today.name) == today
    with pytest.raises(Failure) as refused:
        stack.up(today.name, shape="january")
    assert refused.value.code == Exit.USAGE
    assert f"{today.name} has the shape today" in text(refused.value.fact)


def test_an_unknown_shape_is_a_usage_error_that_names_the_shapes() -> None:
    with pytest.raises(Failure) as refused:
        stack.up("sb-none", shape="round")
    names = "january, today, celery, replicas, mounted"
    assert (refused.value.code, as_text(refused.value).remedy) == (Exit.USAGE, f"one of: {names}")


@pytest.mark.parametrize("kind", sorted(set(stack.RELEASE_KINDS) - {"broken-worker"}))
def test_every_kind_of_release_can_be_published_twice(today: Sandbox, kind: str) -> None:
    first, second = stack.release(today.name, kind), stack.release(today.name, kind)
    assert git(today.origin, "diff", "--name-only", first, second) != ""


def test_a_release_of_the_frontend_is_built_into_another_asset(today: Sandbox) -> None:
    before = answer(today.http_port, "/")[1]
    changed = published(today, "frontend")
    assert changed == {"app/release.py", "app/static/release.txt", "frontend/src/app.js"}
    run("sh", today.developer / "frontend/build")
    after = (today.developer / "frontend/dist/index.html").read_text(encoding="utf-8")
    scripts, styles = ([re.findall(rf"main-\w+\.{kind}", page) for page in (before, after)] for kind in ("js", "css"))
    assert (scripts[0] == scripts[1], styles[0] == styles[1]) == (False, True)


def test_nginx_takes_the_site_of_one_release_and_not_of_the_other(today: Sandbox) -> None:
    for kind, taken in (("nginx", True), ("nginx-broken", False), ("nginx", True)):
        assert published(today, kind) == {"app/release.py", "app/static/release.txt", releases.SITE}
        template = (today.developer / releases.SITE).read_text(encoding="utf-8")
        assert (nginx_takes(today, rendered(template)), kind) == (taken, kind)


def test_a_release_adds_a_program_and_leaves_the_others_alone(today: Sandbox) -> None:
    assert published(today, "supervisor-program") == {"app/release.py", "app/static/release.txt", releases.SUPERVISOR}
    kept = execute(today.app, "cat", SUPERVISED)
    try:
        supervise(today, git(today.origin, "show", f"main~1:{releases.SUPERVISOR}"))
        before = programs(today)
        supervise(today, git(today.origin, "show", f"main:{releases.SUPERVISOR}"))
        after = programs(today)
    finally:
        supervise(today, kept)
    assert before.items() < after.items()
    assert {name.rstrip("0123456789") for name in after.keys() - before.keys()} == {"whalefall_disk_watch_"}
