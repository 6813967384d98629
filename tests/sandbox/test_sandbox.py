"""The sandbox itself, on the real stack."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from deploy.errors import Exit, Failure
from deploy.sandbox import compose, home, origin, releases, sshd, stack
from deploy.sandbox.command import run
from deploy.sandbox.compose import answer, execute
from deploy.sandbox.databases import sql
from deploy.sandbox.git import git
from deploy.sandbox.home import Sandbox
from deploy.sandbox.processes import Process
from deploy.sandbox.shape import JANUARY
from deploy.wording import text
from tests.texts import as_text

pytestmark = pytest.mark.stack

NAME = f"sb-test-{os.getpid()}"
SIDE = f"sb-side-{os.getpid()}"


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    stack.down(NAME)
    yield stack.up(NAME, shape="january", import_seconds=0.3)
    stack.down(NAME)


@pytest.fixture
def mended(sandbox: Sandbox) -> Iterator[Sandbox]:
    yield sandbox
    stack.restore(NAME)


@pytest.fixture
def foreign_container() -> Iterator[str]:
    container = run("docker", "run", "--detach", "debian:bookworm-slim", "sleep", "600").strip()
    yield container
    run("docker", "rm", "--force", container)


def direct(sandbox: Sandbox, path: str = "/api/v1/health") -> tuple[int, str]:
    status, body = answer(sandbox.app_port, path)
    return status, json.loads(body)["data"]["status"] if body.startswith("{") else ""


def on_host(sandbox: Sandbox, command: str) -> str:
    return run(*stack.ssh_command(sandbox.name), command).strip()


def pushed(sandbox: Sandbox, kind: str) -> tuple[str, list[str]]:
    """Publish a release; return its commit and what it did to the tree."""
    commit = stack.release(sandbox.name, kind)
    assert git(sandbox.origin, "rev-parse", "main") == commit
    return commit, git(sandbox.origin, "diff", "--name-status", f"{commit}^", commit).splitlines()


def leftovers(name: str) -> list[str]:
    """Return everything on this machine that bears a sandbox's name."""
    found = [
        *run("docker", "ps", "--all", "--format", "{{.Names}}").split(),
        *run("docker", "volume", "ls", "--format", "{{.Name}}").split(),
        *run("docker", "network", "ls", "--format", "{{.Name}}").split(),
        *run("docker", "images", "--format", "{{.Repository}}").split(),
        *Path("/proc/mounts").read_text(encoding="utf-8").splitlines(),
        *run("ps", "-ww", "-eo", "args").splitlines(),
    ]
    return [one for one in found if name in one]


@pytest.mark.parametrize("name", ["", "Prod", "-a", "a b", "../a", "a" * 41])
def test_a_name_that_containers_cannot_have_is_refused(name: str) -> None:
    with pytest.raises(Failure) as refused:
        stack.up(name)
    assert refused.value.code == Exit.USAGE


@pytest.mark.parametrize("name", ["prod", "here"])
def test_the_name_of_a_target_of_the_settings_is_refused(docker: None, name: str) -> None:
    with pytest.raises(Failure) as refused:
        stack.up(name, tell=lambda told: None)
    assert refused.value.code == Exit.USAGE
    assert as_text(refused.value).fact == f"invoke.yaml has a target or a group {name} already"
    assert not home.folder(name).exists()


def test_the_app_asks_database_and_redis(sandbox: Sandbox) -> None:
    status, body = answer(sandbox.app_port, "/api/v1/health")
    assert status == 200
    assert json.loads(body) == {
        "success": True,
        "data": {"status": "healthy", "database": "connected", "redis": "connected"},
    }


def test_the_basic_check_answers_through_nginx(sandbox: Sandbox) -> None:
    status, body = answer(sandbox.http_port, "/api/v1/health/basic")
    assert (status, json.loads(body)) == (200, {"success": True, "data": {"status": "healthy"}})


def test_the_health_check_has_moved_from_its_old_route(sandbox: Sandbox) -> None:
    assert answer(sandbox.app_port, "/api/v1/health/health")[0] == 404
    first = git(sandbox.origin, "rev-list", "--max-parents=0", "main")
    assert origin.OLD_ROUTE in git(sandbox.origin, "show", f"{first}:{origin.HEALTH}")


def test_page_and_static_file_show_the_release(sandbox: Sandbox) -> None:
    assert f"release {len(origin.HISTORY)}" in answer(sandbox.http_port, "/")[1]
    assert answer(sandbox.http_port, "/static/release.txt") == (200, f"release {len(origin.HISTORY)}\n")


def test_supervisord_is_the_first_process_and_runs_nginx_and_gunicorn(sandbox: Sandbox) -> None:
    first, *others = execute(sandbox.app, "ps", "-eo", "pid=,user:16=,comm=").splitlines()
    assert first.split() == ["1", "root", "supervisord"]
    assert ["whalefall", "gunicorn"] in [line.split()[1:] for line in others]
    assert ["root", "nginx"] in [line.split()[1:] for line in others]


def test_the_worker_holds_the_schedulers_lock(sandbox: Sandbox) -> None:
    with pytest.raises(Failure):
        execute(sandbox.app, "flock", "--nonblock", "/app/userdata/scheduler.lock", "true")


def test_the_env_file_is_mounted_read_only(sandbox: Sandbox) -> None:
    with pytest.raises(Failure) as refused:
        execute(sandbox.app, "chown", "whalefall", "/app/.env")
    assert "Read-only file system" in text(refused.value.evidence[-1])


def test_the_database_is_at_the_head_of_what_runs(sandbox: Sandbox) -> None:
    assert sql(sandbox, "SELECT version_num FROM alembic_version") == "20260108093000"
    assert "20260108093000 (head)" in compose.in_app(sandbox, JANUARY.flask, "db", "current")


def test_compose_warns_of_an_unset_variable_as_on_production(sandbox: Sandbox) -> None:
    command = ["docker", "compose", "-f", "docker-compose.prod.yml", "ps"]
    ended = subprocess.run(command, cwd=sandbox.path, capture_output=True, text=True, check=True)
    assert 'The \\"SENTRY_DSN\\" variable is not set' in ended.stderr
    assert sandbox.app in ended.stdout


def test_the_repository_is_as_large_as_the_real_one(sandbox: Sandbox) -> None:
    files = git(sandbox.path, "-c", "core.quotePath=false", "ls-files", "--stage").splitlines()
    assert 1100 <= len(files) <= 1300
    assert {line[:6] for line in files} == {"100644", "100755", "120000"}
    assert any(line.endswith("docs/操作手册.md") for line in files)
    assert any(line.endswith("docs/release notes.txt") for line in files)


def test_production_is_one_release_behind_a_suitable_one(sandbox: Sandbox) -> None:
    production = git(sandbox.path, "rev-parse", "HEAD")
    pending = git(sandbox.origin, "rev-list", "--reverse", f"{production}..main").splitlines()[0]
    changed = git(sandbox.origin, "diff", "--name-only", production, pending).splitlines()
    assert sorted(changed) == ["app/features/news.py", "app/release.py", "app/static/release.txt"]
    assert git(sandbox.path, "status", "--porcelain") == ""


def test_the_shell_command_reaches_the_host_by_ssh(sandbox: Sandbox) -> None:
    assert on_host(sandbox, f"git -C {sandbox.path} rev-parse HEAD") == stack.status(NAME).deployed


def test_the_target_is_registered_under_the_sandboxs_name(sandbox: Sandbox) -> None:
    targets = yaml.safe_load((sandbox.root / "target.yaml").read_text(encoding="utf-8"))["targets"]
    assert list(targets) == [NAME]
    assert targets[NAME]["host"] == f"{sandbox.user}@127.0.0.1:{sandbox.ssh_port}"


def test_status_tells_services_and_releases(sandbox: Sandbox) -> None:
    status = stack.status(NAME)
    assert status.services == {"postgres": "running", "redis": "running", "whalefall": "running"}
    assert status.behind >= 1
    assert (status.healthy, status.sshd) == (True, True)


@pytest.mark.parametrize(
    ("kind", "changes"),
    [
        ("code", {"M\tapp/features/news.py"}),
        ("migration", {"A\tmigrations/versions/{revision}_note_{number}.py"}),
        ("deleted-file", {"D\tapp/legacy/report_01.py", "D\tdocs/archive/page-004.md"}),
        ("renamed-file", {"R100\tapp/legacy/report_02.py\tapp/legacy/moved_report_02.py"}),
        ("static", {"M\tapp/static/release.txt", "A\tapp/static/style.css"}),
        ("broken-import", {"A\tapp/features/broken_import.py"}),
        ("failing-migration", {"A\tmigrations/versions/failing_migration.py", "D\tapp/features/broken_import.py"}),
        ("two-heads", {"A\tmigrations/versions/second_head.py", "D\tmigrations/versions/failing_migration.py"}),
        ("unhealthy", {"A\tapp/features/unhealthy.py", "D\tmigrations/versions/second_head.py"}),
        ("slow-boot", {"A\tapp/features/slow_boot.py", "D\tapp/features/unhealthy.py"}),
        ("dependency", {"M\trequirements.txt", "M\tpyproject.toml", "M\tuv.lock", "D\tapp/features/slow_boot.py"}),
        ("compose", {"M\tdocker-compose.prod.yml"}),
        ("supervisor", {"M\tnginx/supervisor/whalefall-prod.conf"}),
        ("supervisor-program", {"M\tnginx/supervisor/whalefall-prod.conf"}),
        ("nginx", {"M\tnginx/sites-available/whalefall-prod"}),
        ("nginx-broken", {"M\tnginx/sites-available/whalefall-prod"}),
        ("gunicorn", {"M\tnginx/gunicorn/gunicorn-prod.conf.py"}),
    ],
)
def test_a_release_changes_what_its_kind_says(sandbox: Sandbox, kind: str, changes: set[str]) -> None:
    commit, changed = pushed(sandbox, kind)
    number = int(git(sandbox.origin, "rev-list", "--count", commit))
    names = {"number": number, "revision": releases.FIRST_REVISION + number}
    assert {change.format(**names) for change in changes} <= set(changed)


def test_every_kind_of_release_can_be_published_twice(sandbox: Sandbox) -> None:
    for kind in set(stack.RELEASE_KINDS) - set(releases.NEEDED):
        assert pushed(sandbox, kind)[0] != pushed(sandbox, kind)[0]


def test_a_release_of_what_the_app_does_not_have_is_refused_with_the_shape(sandbox: Sandbox) -> None:
    before = git(sandbox.origin, "rev-parse", "main")
    with pytest.raises(Failure) as refused:
        stack.release(sandbox.name, "frontend")
    assert refused.value.code == Exit.USAGE
    assert "the shape january has no frontend/src/" in text(refused.value.fact)
    assert git(sandbox.origin, "rev-parse", "main") == before


def test_a_code_release_mends_what_bad_releases_brought(sandbox: Sandbox) -> None:
    for kind in ("broken-import", "failing-migration", "two-heads", "unhealthy", "slow-boot", "nginx-broken"):
        stack.release(NAME, kind)
    stack.release(NAME, "code")
    files = git(sandbox.origin, "ls-tree", "-r", "--name-only", "main").splitlines()
    assert set(files).isdisjoint(releases.FAULTS)
    assert releases.BROKEN_SITE not in git(sandbox.origin, "show", f"main:{releases.SITE}")


def test_an_unknown_kind_is_a_usage_error_that_names_the_kinds(sandbox: Sandbox) -> None:
    with pytest.raises(Failure) as refused:
        stack.release(NAME, "perfect")
    assert refused.value.code == Exit.USAGE
    assert "broken-import" in as_text(refused.value).remedy


def test_a_stopped_service_makes_the_app_unhealthy_until_restored(mended: Sandbox) -> None:
    stack.break_(NAME, "service-stopped")
    assert stack.status(NAME).services["redis"] == "exited"
    assert direct(mended) == (503, "unhealthy")
    stack.restore(NAME)
    assert direct(mended) == (200, "healthy")


def test_a_crash_loop_hides_in_a_container_that_is_up(mended: Sandbox) -> None:
    stack.break_(NAME, "crash-loop")
    assert stack.status(NAME).services["whalefall"] == "running"
    assert answer(mended.app_port, "/") == (0, "")
    assert answer(mended.http_port, "/")[0] == 502
    stack.restore(NAME)
    assert direct(mended) == (200, "healthy")


def test_the_env_file_can_go_missing_and_comes_back_as_it_was(mended: Sandbox) -> None:
    before = mended.env_file.read_text(encoding="utf-8")
    stack.break_(NAME, "env-missing")
    assert not mended.env_file.exists()
    stack.restore(NAME)
    assert mended.env_file.read_text(encoding="utf-8") == before


def test_an_unstamped_database_has_tables_and_no_revision(mended: Sandbox) -> None:
    stack.break_(NAME, "unstamped")
    assert sql(mended, "SELECT to_regclass('alembic_version'), to_regclass('users')") == "|users"
    stack.restore(NAME)
    assert sql(mended, "SELECT version_num FROM alembic_version") == "20260108093000"


def test_an_unstamped_database_can_be_stamped_by_its_schema_and_upgraded(mended: Sandbox) -> None:
    stack.break_(NAME, "unstamped")
    compose.in_app(mended, JANUARY.flask, "db", "stamp", "20251224134000")
    compose.migrate(mended)
    assert sql(mended, "SELECT version_num FROM alembic_version") == "20260108093000"


def test_a_database_that_is_down_refuses_while_its_container_is_up(mended: Sandbox) -> None:
    stack.break_(NAME, "database-down")
    assert stack.status(NAME).services["postgres"] == "running"
    with pytest.raises(Failure):
        sql(mended, "SELECT 1")
    assert direct(mended) == (503, "unhealthy")
    stack.restore(NAME)
    assert direct(mended) == (200, "healthy")


def test_a_full_disk_takes_no_more_bytes(mended: Sandbox) -> None:
    if not mended.host.is_mount():
        pytest.skip("only a sandbox that root made has a disk of its own")
    stack.break_(NAME, "disk-full")
    with pytest.raises(Failure):
        on_host(mended, f"head -c 65536 /dev/zero >{mended.path}/more")
    stack.restore(NAME)
    on_host(mended, f"head -c 65536 /dev/zero >{mended.path}/more")


def test_a_recreated_container_silently_has_the_code_of_its_image(mended: Sandbox) -> None:
    before = run("docker", "inspect", "--format", "{{.Id}}", mended.app)
    execute(mended.app, "sh", "-c", "echo 'release 99' >/app/app/static/release.txt")
    stack.break_(NAME, "recreated")
    assert run("docker", "inspect", "--format", "{{.Id}}", mended.app) != before
    assert answer(mended.app_port, "/static/release.txt")[1] == f"release {len(origin.HISTORY)}\n"


def test_a_dirty_clone_has_changed_deleted_and_unknown_files(mended: Sandbox) -> None:
    stack.break_(NAME, "dirty")
    dirty = [" M README.md", ' D "docs/release notes.txt"', '?? "notes of the night.txt"']
    assert git(mended.path, "status", "--porcelain").splitlines() == dirty
    stack.restore(NAME)
    assert git(mended.path, "status", "--porcelain") == ""


@pytest.mark.parametrize(("kind", "branch"), [("unpushed", "main"), ("detached", "HEAD")])
def test_production_can_have_a_commit_that_the_remote_does_not_have(mended: Sandbox, kind: str, branch: str) -> None:
    before = git(mended.path, "rev-parse", "HEAD")
    stack.break_(NAME, kind)
    assert git(mended.path, "rev-parse", "--abbrev-ref", "HEAD") == branch
    assert git(mended.path, "rev-parse", "HEAD^") == before
    assert git(mended.path, "branch", "--remotes", "--contains", "HEAD") == ""
    stack.restore(NAME)
    assert git(mended.path, "rev-parse", "--abbrev-ref", "HEAD") == "main"
    assert git(mended.path, "rev-parse", "HEAD") == before


def test_a_forgotten_console_is_idle_in_a_transaction_until_restored(mended: Sandbox) -> None:
    idle = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction'"
    stack.break_(NAME, "idle-transaction")
    assert sql(mended, idle) == "1"
    stack.restore(NAME)
    assert sql(mended, idle) == "0"


def test_every_illness_has_its_test() -> None:
    source = "".join(file.read_text(encoding="utf-8") for file in Path(__file__).parent.glob("test_*.py"))
    assert [kind for kind in stack.BREAK_KINDS if f'"{kind}"' not in source] == []


def test_up_brings_back_what_has_ended(mended: Sandbox) -> None:
    before = run("docker", "inspect", "--format", "{{.Id}}", mended.app)
    run("docker", "stop", mended.app, mended.database)
    Process.of(int((mended.ssh / "sshd.pid").read_text(encoding="ascii"))).end()  # type: ignore[union-attr]
    assert not stack.status(NAME).sshd
    assert stack.up(NAME) == mended
    compose.wait_until_healthy(mended)
    assert on_host(mended, "echo here") == "here"
    assert run("docker", "inspect", "--format", "{{.Id}}", mended.app) == before


def test_up_after_a_reboot_makes_the_host_again_at_the_first_release(mended: Sandbox) -> None:
    if not mended.host.is_mount():
        pytest.skip("only a sandbox that root made loses its host with the machine's memory")
    secrets = mended.env_file.read_text(encoding="utf-8")
    run("docker", "stop", mended.app, mended.database, mended.redis)
    sshd.stop(mended)
    run("umount", mended.host)
    stack.up(NAME)
    compose.wait_until_healthy(mended)
    assert mended.env_file.read_text(encoding="utf-8") == secrets
    assert git(mended.path, "log", "-1", "--format=%s") == origin.HISTORY[-1].subject
    assert on_host(mended, "echo here") == "here"


def test_two_live_side_by_side_and_down_leaves_nothing_of_one(sandbox: Sandbox, foreign_container: str) -> None:
    side = stack.up(SIDE, shape="january", import_seconds=0.3)
    on_host(side, f"cd /; setsid sh -c 'sleep 600; : {SIDE}' >/dev/null 2>&1 </dev/null &")
    try:
        assert direct(side) == direct(sandbox) == (200, "healthy")
        assert leftovers(SIDE) != []
    finally:
        stack.down(SIDE)
    assert leftovers(SIDE) == []
    assert not side.root.exists()
    assert run("docker", "inspect", "--format", "{{.State.Status}}", foreign_container).strip() == "running"
    assert direct(sandbox) == (200, "healthy")


def test_down_takes_a_half_made_sandbox_away_and_is_content_with_none(sandbox: Sandbox) -> None:
    half = home.plan(SIDE, JANUARY)
    half.remember()
    git(half.root, "init", "--quiet", "--bare", half.origin)
    stack.down(SIDE)
    stack.down(SIDE)
    assert not half.root.exists()


def test_a_sandbox_that_is_not_there_is_named_with_the_way_to_make_it() -> None:
    with pytest.raises(Failure) as missing:
        stack.status("sb-none")
    assert missing.value.remedy == "inv sandbox.up --name sb-none"
