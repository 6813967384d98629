"""The sandbox with two containers of the app, and its database in another Compose project, on the real stack."""

import json
import os
import re
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import Exit, Failure
from deploy.sandbox import compose, stack
from deploy.sandbox.command import run
from deploy.sandbox.compose import answer
from deploy.sandbox.databases import sql
from deploy.sandbox.git import git
from deploy.sandbox.home import Sandbox
from tests.bench.client import asking
from tests.faults.cells import wait_until
from tests.sandbox.adopting import works
from tests.sandbox.conftest import Inv, SettingsFile
from tests.texts import as_text

pytestmark = pytest.mark.stack

GET = "import sys, urllib.request; sys.stdout.write(urllib.request.urlopen(sys.argv[1], timeout=10).read().decode())"
FRONT = "/health"
# Among so many requests every worker of both has some.
ENOUGH = 12


def both(sandbox: Sandbox) -> list[str]:
    return [sandbox.app, *compose.replicas(sandbox)]


def releases_served(sandbox: Sandbox) -> set[int]:
    """Which releases the workers of all containers serve, each container asked by itself."""
    script = f"for n in $(seq {ENOUGH}); do python3 -c '{GET}' http://localhost:5000/; done"
    pages = "".join(run("docker", "exec", name, "sh", "-c", script) for name in both(sandbox))
    found = re.findall(r"<p>release (\d+)</p>", pages)
    assert len(found) == ENOUGH * len(both(sandbox))
    return {int(number) for number in found}


def children(pid: int) -> set[int]:
    return {int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()}


def number_of(sandbox: Sandbox, commit: str) -> int:
    return int(git(sandbox.origin, "rev-list", "--count", commit))


def started(sandbox: Sandbox) -> list[str]:
    return run("docker", "inspect", "--format", "{{.State.StartedAt}}", *both(sandbox)).split()


def health(sandbox: Sandbox) -> Any:
    return json.loads(answer(sandbox.http_port, FRONT)[1])


def failed(requests: list[Any]) -> tuple[bool, list[Any]]:
    """Whether there were requests, and those that failed."""
    return bool(requests), [request for request in requests if not request.good]


def test_nginx_alone_is_published_and_the_database_belongs_to_another_project(replicas: Sandbox) -> None:
    states = stack.status(replicas.name).services
    assert states == {"web": "running, running", "nginx": "running", "postgres": "running"}
    published = run("docker", "inspect", "--format", "{{json .HostConfig.PortBindings}}", *both(replicas)).split()
    assert published == ["{}", "{}"]
    project = '{{index .Config.Labels "com.docker.compose.project"}}'
    assert run("docker", "inspect", "--format", project, replicas.database).strip() == replicas.elsewhere
    assert health(replicas) == {"status": "ok", "database": "ok"}


@pytest.mark.deep
def test_what_init_writes_does_unedited(bare: Inv, replicas: Sandbox, tmp_path: Path) -> None:
    stack.release(replicas.name, "migration")
    works(bare, replicas, tmp_path)
    file = (tmp_path / "invoke.yaml").read_text(encoding="utf-8")
    assert ("redis: none" in file, f"client: {replicas.database}" in file, "inside: true" in file) == (True, True, True)
    assert "20260108093000" in bare("backup", "--list").out


@pytest.mark.parametrize("kind", ["code", "migration"])
def test_an_update_reaches_both_while_no_request_fails(replicas: Sandbox, inv_replicas: Inv, kind: str) -> None:
    commit, before = stack.release(replicas.name, kind), started(replicas)
    with asking({"nginx": f"{replicas.http_port}{FRONT}"}, 20) as requests:
        updated = inv_replicas("hot-update", "--yes")
    assert updated.code == 0, updated.text
    assert failed(requests) == (True, [])
    assert releases_served(replicas) == {number_of(replicas, commit)}
    assert started(replicas) == before


def test_containers_are_restarted_one_after_the_other_and_each_is_met_by_itself_before_the_next(
    replicas: Sandbox, inv_replicas: Inv
) -> None:
    before = started(replicas)
    with asking({"nginx": f"{replicas.http_port}{FRONT}"}, 20) as requests:
        restarted = inv_replicas("restart", "--strategy", "container")
    assert restarted.code == 0, restarted.text
    assert failed(requests) == (True, [])
    assert [one == other for one, other in zip(before, started(replicas), strict=True)] == [False, False]
    first, second = both(replicas)
    told = [restarted.out.index(f"{name} by itself is well (200)") for name in (first, second)]
    assert told[0] < restarted.out.index(f"▸ restart@{second}") < told[1]


def test_a_worker_that_still_loads_the_app_is_replaced_too_although_uwsgi_passes_over_it(
    replicas: Sandbox, inv_replicas: Inv
) -> None:
    stack.release(replicas.name, "code")
    for verb in ("sync", "copy"):
        assert inv_replicas(verb).code == 0
    master = int(run("docker", "inspect", "--format", "{{.State.Pid}}", replicas.app))
    before = children(master)
    os.kill(min(before), signal.SIGKILL)
    wait_until(lambda: bool(children(master) - before), 10)
    (loading,) = children(master) - before
    os.kill(loading, signal.SIGSTOP)
    logs = f"docker logs --since {int(time.time())} {replicas.app}"
    try:
        with ThreadPoolExecutor() as beside:
            restarting = beside.submit(inv_replicas, "restart")
            started = "chain reload starting"
            wait_until(lambda: restarting.done() or started in run("sh", "-c", f"{logs} 2>&1"), 60)
            assert not restarting.done(), restarting.result().text
            # Until it is done with the other one.
            time.sleep(5)
            os.kill(loading, signal.SIGCONT)
            restarted = restarting.result()
    finally:
        with suppress(ProcessLookupError):
            os.kill(loading, signal.SIGCONT)
    assert restarted.code == 0, restarted.text
    assert len(children(master)) == 2
    assert not children(master) & {*before, loading}


def test_a_release_that_makes_the_first_ill_never_reaches_users_and_is_undone_in_both(
    replicas: Sandbox, inv_replicas: Inv, given: SettingsFile
) -> None:
    before = releases_served(replicas)
    stack.release(replicas.name, "unhealthy")
    with asking({"nginx": f"{replicas.http_port}{FRONT}"}, 20) as requests:
        updated = inv_replicas(*given("health: {timeout: 5}"), "hot-update", "--yes")
    assert updated.code == Exit.UNDONE, updated.text
    first, second = both(replicas)
    assert f"✗ restart failed on root@127.0.0.1:{replicas.ssh_port}: {first} by itself answers 503" in updated.err
    assert (f"✓ undo copy@{second} " in updated.out, f"▸ restart@{second}" in updated.out) == (True, False)
    assert failed(requests) == (True, [])
    assert (releases_served(replicas), health(replicas)["status"]) == (before, "ok")


@pytest.mark.deep
def test_a_migration_that_fails_leaves_the_database_elsewhere_as_it_was(replicas: Sandbox, inv_replicas: Inv) -> None:
    before, at = releases_served(replicas), sql(replicas, "SELECT version_num FROM alembic_version")
    stack.release(replicas.name, "failing-migration")
    updated = inv_replicas("hot-update", "--yes")
    assert updated.code == Exit.UNDONE, updated.text
    assert f"the database is at {at}, as before, and so is its schema" in updated.out
    assert (releases_served(replicas), sql(replicas, "SELECT version_num FROM alembic_version")) == (before, at)


def test_one_that_is_ill_is_found_although_nginx_hides_it(replicas: Sandbox, inv_replicas: Inv) -> None:
    stack.break_(replicas.name, "ill-replica")
    (ill,) = compose.replicas(replicas)
    assert {answer(replicas.http_port, FRONT)[0] for _ in range(ENOUGH)} == {200}
    asked = inv_replicas("health")
    assert asked.code == Exit.FAILED
    assert f"✗ direct@{ill}: http://localhost:5000/health answered 503" in asked.out
    assert "✓ nginx: " in asked.out
    assert f"health         {ill}: http://localhost:5000/health answers 503" in inv_replicas("preflight").out


@pytest.mark.deep
def test_an_update_restarts_one_that_is_ill_and_meets_it_by_itself(replicas: Sandbox, inv_replicas: Inv) -> None:
    commit = stack.release(replicas.name, "code")
    stack.break_(replicas.name, "ill-replica")
    (ill,) = compose.replicas(replicas)
    updated = inv_replicas("hot-update", "--yes")
    assert updated.code == 0, updated.text
    assert f"▸ restart@{ill}\n    the container is restarted: the app does not answer as it should" in updated.out
    assert f"✓ direct@{ill}: http://localhost:5000/health healthy in " in updated.out
    assert releases_served(replicas) == {number_of(replicas, commit)}


@pytest.mark.parametrize("kind", ["crash-loop", "service-stopped"])
def test_an_illness_that_the_app_cannot_have_is_refused_with_those_that_it_can(replicas: Sandbox, kind: str) -> None:
    with pytest.raises(Failure) as refused:
        stack.break_(replicas.name, kind)
    told = as_text(refused.value)
    assert (refused.value.code, kind in told.remedy) == (Exit.USAGE, False)
    assert "the app of the shape replicas is without a " in told.fact


@pytest.mark.parametrize("kind", ["database-down", "recreated", "replica", "ill-replica", "idle-transaction"])
def test_what_ails_it_is_mended(replicas: Sandbox, kind: str) -> None:
    stack.break_(replicas.name, kind)
    stack.restore(replicas.name)
    assert len(both(replicas)) == 2
    assert health(replicas) == {"status": "ok", "database": "ok"}
