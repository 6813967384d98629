"""The sandbox with Gunicorn as PID 1 and Celery in containers of its own, on the real stack."""

import json
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import Exit, Failure
from deploy.sandbox import compose, releases, stack
from deploy.sandbox.command import run
from deploy.sandbox.compose import answer
from deploy.sandbox.databases import sql
from deploy.sandbox.git import git
from deploy.sandbox.home import Sandbox
from tests.bench.client import asking
from tests.sandbox.adopting import works
from tests.sandbox.conftest import Inv, SettingsFile
from tests.test_events import document
from tests.texts import as_text

pytestmark = pytest.mark.stack

PATIENCE = 60.0
# The kinds of releases that change what this app does not have.
MISFITS = sorted(kind for kind, file in releases.NEEDED.items() if file != releases.CELERY)
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def asked(sandbox: Sandbox, path: str) -> Any:
    return json.loads(answer(sandbox.http_port, path)[1])


def ordered(sandbox: Sandbox, seconds: float) -> str:
    """Have a task started; return its id."""
    url = f"http://127.0.0.1:{sandbox.http_port}/tasks?seconds={seconds}"
    with _opener.open(urllib.request.Request(url, method="POST"), timeout=10) as response:
        identity: str = json.load(response)["id"]
        return identity


def eventually(look: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + PATIENCE
    while not (seen := look()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return seen


def processes(sandbox: Sandbox, service: str) -> list[tuple[str, str]]:
    """Return user and command of each process of a service, in order of their pids; the image has no ps."""
    shown = run("docker", "top", f"{sandbox.project}-{service}-1", "-o", "pid,euid,args").splitlines()[1:]
    rows = sorted((line.split(None, 2) for line in shown), key=lambda row: int(row[0]))
    return [(euid, args) for _, euid, args in rows]


def release_of(sandbox: Sandbox) -> int:
    """Return the release that serves."""
    return int(answer(sandbox.http_port, "/")[1].partition("<p>release ")[2].partition("</p>")[0])


def scheduling(sandbox: Sandbox) -> tuple[int, int]:
    """Return the releases of the beat and of the worker, by the last that they did."""
    last = asked(sandbox, "/ticks")[-1]
    return last["beat"], last["worker"]


def test_gunicorn_is_the_first_process_and_nobody_is_root(celery: Sandbox) -> None:
    web = processes(celery, "web")
    assert len(web) == 3
    assert all("gunicorn --config gunicorn.conf.py wsgi:application" in args for _, args in web)
    found = [process for service in ("web", "celery_worker", "celery_beat") for process in processes(celery, service)]
    assert "0" not in {euid for euid, _ in found}


@pytest.mark.deep
def test_an_app_of_another_layout_is_updated_with_the_file_as_it_was_written(
    bare: Inv, celery: Sandbox, tmp_path: Path
) -> None:
    assert "also.celery_worker" in works(bare, celery, tmp_path)
    file = tmp_path / "invoke.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("user: shop", "user: other"))
    drifted = bare("init", "--check")
    assert drifted.code == 3
    assert "database.user: other, but found is shop" in drifted.out


def test_web_worker_and_beat_have_one_image_and_containers_without_a_name_of_ours(celery: Sandbox) -> None:
    services = ("web", "celery_worker", "celery_beat")
    containers = [f"{celery.project}-{service}-1" for service in services]
    assert run("docker", "inspect", "--format", "{{.Config.Image}}", *containers).split() == [celery.image] * 3
    assert "container_name" not in (celery.path / "docker-compose.yml").read_text(encoding="utf-8")
    assert stack.status(celery.name).services == dict.fromkeys((*services, "nginx", "db", "redis"), "running")


def test_only_nginx_can_be_reached_and_the_app_asks_database_and_redis(celery: Sandbox) -> None:
    assert asked(celery, "/health") == {"status": "ok", "database": "ok", "redis": "ok"}
    assert answer(celery.app_port, "/health")[0] == 0
    assert sql(celery, "SELECT version_num FROM alembic_version") == "20260108093000"


def test_the_beat_goes_on_and_the_worker_does_what_it_is_told(celery: Sandbox) -> None:
    identity = ordered(celery, 0.1)
    assert eventually(lambda: asked(celery, f"/tasks/{identity}")["state"] == "SUCCESS")
    before = asked(celery, "/ticks")[-1]
    assert eventually(lambda: asked(celery, "/ticks")[-1]["at"] > before["at"])
    assert asked(celery, f"/tasks/{identity}")["release"] == before["worker"]


def test_preflight_finds_everything_by_composes_labels(inv_celery: Inv) -> None:
    looked = inv_celery("preflight")
    assert looked.code == 0, looked.text
    for found in ("-web-1 is running", "-db-1 is running", "-redis-1 is running", "shop_prod answers"):
        assert found in looked.out


def test_an_update_migrates_and_reaches_every_container_while_no_request_fails_and_a_task_in_hand_is_finished(
    celery: Sandbox, inv_celery: Inv
) -> None:
    started = run("docker", "inspect", "--format", "{{.State.StartedAt}}", celery.app)
    commit, before = stack.release(celery.name, "migration"), release_of(celery)
    identity = ordered(celery, 20)
    with asking({"nginx": f"{celery.http_port}/"}, 20) as requests:
        updated = inv_celery("hot-update", "--yes")
    assert updated.code == 0, updated.text
    assert (bool(requests), [request for request in requests if not request.good]) == (True, [])
    assert asked(celery, f"/tasks/{identity}") == {"state": "SUCCESS", "release": before}
    release = int(git(celery.origin, "rev-list", "--count", commit))
    assert release_of(celery) == release
    assert eventually(lambda: scheduling(celery) == (release, release))
    assert "(head)" in compose.in_app(celery, celery.shape.flask, "db", "current")
    # Gunicorn, the first process, was rolled.
    assert run("docker", "inspect", "--format", "{{.State.StartedAt}}", celery.app) == started
    shown = inv_celery("status").out
    assert ("drift       none" in shown, f"{celery.project}-celery_worker-1 running" in shown) == (True, True)


def test_a_check_may_be_asked_from_the_apps_container_where_no_port_is_published(
    celery: Sandbox, inv_celery: Inv, given: SettingsFile
) -> None:
    check = "name: app, url: 'http://localhost:5000', paths: [/gone, /health], expect: {status: ok}, inside: true"
    closed = "name: closed, url: 'http://localhost:1', paths: [/], inside: true"
    asked_for = given(f"restart: {{check: app}}\nhealth: {{checks: [{{{check}}}, {{{closed}}}]}}\n")
    looked = inv_celery(*asked_for, "health")
    assert (looked.code, "✓ app: http://localhost:5000/health healthy in " in looked.out) == (Exit.FAILED, True)
    assert "✗ closed: http://localhost:1/ no answer: connection refused" in looked.out
    assert "http://localhost:5000/health answers 200" in inv_celery(*asked_for, "preflight").out


def test_an_ill_release_is_undone_in_every_container(celery: Sandbox, inv_celery: Inv, given: SettingsFile) -> None:
    before = release_of(celery)
    stack.release(celery.name, "unhealthy")
    updated = inv_celery(*given("health: {timeout: 5}"), "hot-update", "--yes")
    assert updated.code == Exit.UNDONE, updated.text
    for container in ("", f"@{celery.project}-celery_worker-1", f"@{celery.project}-celery_beat-1"):
        assert f"✓ undo copy{container} " in updated.out
    since = time.time()
    assert (release_of(celery), asked(celery, "/health")["status"]) == (before, "ok")
    assert eventually(lambda: asked(celery, "/ticks")[-1]["at"] > since)
    assert scheduling(celery) == (before, before)


def test_a_release_that_only_celery_cannot_run_is_undone_although_its_container_starts_again_and_again(
    celery: Sandbox, inv_celery: Inv
) -> None:
    before = release_of(celery)
    stack.release(celery.name, "broken-worker")
    updated = inv_celery("hot-update", "--yes")
    assert updated.code == Exit.UNDONE, updated.text
    assert "-celery_worker-1 stopped: ModuleNotFoundError: No module named" in updated.err
    since = time.time()
    assert eventually(lambda: asked(celery, "/ticks")[-1]["at"] > since)
    assert (release_of(celery), scheduling(celery)) == (before, (before, before))


def test_a_release_that_does_not_boot_never_serves(celery: Sandbox, inv_celery: Inv) -> None:
    before = release_of(celery)
    stack.release(celery.name, "broken-import")
    updated = inv_celery("hot-update", "--yes")
    assert updated.code != 0
    assert "a_module_that_nobody_installed" in updated.text
    assert (release_of(celery), asked(celery, "/health")["status"]) == (before, "ok")


def test_what_only_celery_cannot_run_is_taken_out_by_the_next_release(celery: Sandbox) -> None:
    stack.release(celery.name, "code")
    for kind, broken in (("broken-worker", True), ("broken-worker", True), ("code", False)):
        stack.release(celery.name, kind)
        assert (releases.BROKEN_CELERY in git(celery.origin, "show", f"main:{releases.CELERY}") + "\n") == broken


@pytest.mark.deep
def test_a_restarted_container_is_waited_for_whatever_nginx_says_meanwhile(inv_celery: Inv) -> None:
    restarted = inv_celery("restart", "--strategy", "container")
    assert restarted.code == 0, restarted.text
    assert "the app answers (200)" in restarted.out
    assert "migrations  shop_prod answers" in inv_celery("status").out


@pytest.mark.parametrize("kind", MISFITS)
def test_a_release_that_the_app_cannot_have_is_refused_with_those_that_it_can(celery: Sandbox, kind: str) -> None:
    with pytest.raises(Failure) as refused:
        stack.release(celery.name, kind)
    told = as_text(refused.value)
    assert refused.value.code == Exit.USAGE
    assert f"no release of the kind {kind}: the app of the shape celery has no" in told.fact
    assert told.remedy == f"one of: {', '.join(one for one in stack.RELEASE_KINDS if one not in MISFITS)}"


def test_an_illness_that_the_app_cannot_have_is_refused_with_those_that_it_can(celery: Sandbox) -> None:
    with pytest.raises(Failure) as refused:
        stack.break_(celery.name, "crash-loop")
    assert refused.value.code == Exit.USAGE
    assert "dirty" in as_text(refused.value).remedy


@pytest.mark.parametrize("kind", ["service-stopped", "database-down", "recreated", "replica", "idle-transaction"])
def test_what_ails_its_services_is_mended(celery: Sandbox, kind: str) -> None:
    stack.break_(celery.name, kind)
    stack.restore(celery.name)
    assert compose.replicas(celery) == []
    assert asked(celery, "/health") == {"status": "ok", "database": "ok", "redis": "ok"}


@pytest.mark.deep
def test_every_service_of_an_image_has_the_release_that_an_update_baked_into_it(
    celery: Sandbox, inv_celery: Inv, given: SettingsFile
) -> None:
    commit = stack.release(celery.name, "code")
    updated = inv_celery(*given("bake: {after_update: true}"), "hot-update", "--yes")
    assert updated.code == 0, updated.text
    assert f"{celery.name}: a recreated container has {commit[:7]} too" in updated.out
    started = run("docker", "inspect", "--format", "{{.Id}}", celery.app, *celery.also)
    compose.compose(celery, "up", "--detach", "--no-build")
    compose.wait_until_healthy(celery)
    anew = run("docker", "inspect", "--format", "{{.Id}}", celery.app, *celery.also)
    assert set(started.split()).isdisjoint(anew.split())
    release = int(git(celery.origin, "rev-list", "--count", commit))
    assert release_of(celery) == release
    assert eventually(lambda: scheduling(celery) == (release, release))
    shown = document(inv_celery("status", "--json").out)
    assert (shown["running"], shown["drift"], shown["recreated"]["keeps"]) == (commit, None, True)
