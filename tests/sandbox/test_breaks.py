"""A host that is ill in every way: what the verbs say, what they leave alone, and what cures it."""

import json
import re
from pathlib import Path

import pytest
import yaml

from deploy.sandbox import breaks, stack
from deploy.sandbox.command import run
from deploy.sandbox.compose import answer, execute, replicas
from deploy.sandbox.databases import sql
from deploy.sandbox.git import git
from deploy.sandbox.home import Sandbox
from deploy.sandbox.origin import DEPLOYED
from tests.sandbox.conftest import Inv
from tests.sandbox.facts import facts

pytestmark = pytest.mark.stack


def assert_refused(
    inv: Inv, sandbox: Sandbox, *phrases: str, verbs: tuple[str, ...] = ("hot-update --yes",), settings: str = ""
) -> str:
    """Each verb ends with 3 and says each phrase; nothing is changed. Returns what they said."""
    file = ("-f", settings) if settings else ()
    said = ""
    for verb in verbs:
        before = facts(sandbox)
        ended = inv(*file, *verb.split())
        assert facts(sandbox) == before
        assert (ended.code, [phrase for phrase in phrases if phrase not in ended.text]) == (3, []), ended.text
        assert "Traceback" not in ended.text
        said += ended.text
    return said


@pytest.mark.parametrize(
    ("kind", "phrases"),
    [
        ("service-stopped", ("redis_{name} is exited", "→ on the host: docker start whalefall_redis_")),
        ("env-missing", ("{path}/.env is missing", "→ put the file with the production's secrets back there")),
        (
            "database-down",
            (
                "does not answer: ",
                "is not currently accepting connections",
                "→ see why, on the host: docker logs",
            ),
        ),
        ("disk-full", ("0 MiB free for {path} on the host, 256 needed", "→ free some space")),
    ],
)
def test_an_illness_that_an_update_cannot_cure_is_refused_with_its_remedy(
    sandbox: Sandbox, inv: Inv, kind: str, phrases: tuple[str, ...]
) -> None:
    if kind == "disk-full" and not sandbox.host.is_mount():
        pytest.skip("only a sandbox that root made has a disk of its own")
    stack.release(sandbox.name, "code")
    stack.break_(sandbox.name, kind)
    told = [phrase.format(name=sandbox.name, path=sandbox.path) for phrase in phrases]
    assert_refused(inv, sandbox, "✗ refused, nothing was changed: ", *told, verbs=("preflight", "hot-update --yes"))


def test_a_database_that_cannot_be_asked_is_never_taken_for_an_empty_one(sandbox: Sandbox, inv: Inv) -> None:
    at = sql(sandbox, "SELECT version_num FROM alembic_version")
    stack.break_(sandbox.name, "database-down")
    for words in (("migrate",), ("migrate", "--current"), ("migrate", "--sql"), ("migrate", "--stamp", at)):
        ended = inv(*words)
        assert ended.code == 3, ended.text
        assert "whalefall_prod does not answer" in ended.err
        assert not re.search("empty|never stamped|pending", ended.text)
    stack.restore(sandbox.name)
    assert sql(sandbox, "SELECT version_num FROM alembic_version") == at


def test_a_crash_loop_is_a_warning_with_its_last_error_and_the_next_release_cures_it(
    sandbox: Sandbox, inv: Inv
) -> None:
    # An older error in another log must not be taken for the cause.
    stack.break_(sandbox.name, "service-stopped")
    answer(sandbox.app_port, "/api/v1/health")
    stack.restore(sandbox.name)
    stack.break_(sandbox.name, "crash-loop")
    preflight = inv("preflight")
    assert preflight.code == 0, preflight.text
    ill = [line for line in preflight.out.splitlines() if line.startswith("!  health")]
    assert [line.rstrip().endswith(f"SystemError: {breaks.MESSAGE}") for line in ill] == [True, True], preflight.out
    health = inv("health")
    assert health.code == 1
    assert health.err == (
        f"✗ {sandbox.name} is not healthy: nginx, direct\n"
        f"  last error in the logs: SystemError: {breaks.MESSAGE}\n"
        f"→ inv preflight --target {sandbox.name}\n"
    )

    assert inv("migrate", "--current").code == 0

    commit = stack.release(sandbox.name, "code")
    cure = inv("hot-update", "--yes")
    assert cure.code == 0, cure.text
    assert f"{sandbox.name} runs {commit[:7]} and is healthy" in cure.out
    assert answer(sandbox.app_port, "/api/v1/health")[0] == 200


def test_no_line_of_login_files_and_nothing_that_they_set_is_noticed(sandbox: Sandbox, inv: Inv) -> None:
    commit = stack.release(sandbox.name, "migration")
    stack.break_(sandbox.name, "noisy-login")
    updated = inv("hot-update", "--yes")
    assert updated.code == 0, updated.text
    assert f"{sandbox.name} runs {commit[:7]} and is healthy" in updated.out
    others = [inv(*words) for words in (("history",), ("backup", "--list"), ("attach",), ("migrate", "--sql"))]
    assert [other.code for other in others] == [0, 0, 0, 0], [other.text for other in others]
    said = "".join(ended.text for ended in (updated, *others))
    assert re.findall("Welcome|Last maintenance|Goodbye|stty|not git|not docker", said) == []
    # Its file mode would have kept others out.
    assert (sandbox.path / "app/release.py").stat().st_mode & 0o777 == 0o644


def test_an_unstamped_database_is_stamped_by_its_schema_and_upgraded(sandbox: Sandbox, inv: Inv) -> None:
    stack.release(sandbox.name, "migration")
    stack.break_(sandbox.name, "unstamped")
    updated = inv("hot-update", "--yes")
    assert updated.code == 0, updated.text
    assert "flask db stamp 20251224134000" in updated.out
    assert "stamped with 20251224134000" in updated.out
    assert sql(sandbox, "SELECT version_num FROM alembic_version") == newest_revision(sandbox)


def test_an_unstamped_database_is_stamped_even_when_there_is_nothing_else_to_do(sandbox: Sandbox, inv: Inv) -> None:
    assert inv("hot-update", "--yes").code == 0
    stack.break_(sandbox.name, "unstamped")
    assert "to be stamped 20251224134000" in inv("preflight").out
    updated = inv("hot-update", "--yes")
    assert updated.code == 0, updated.text
    assert "migrate (the database was never stamped)" in updated.out
    assert "copy (" not in updated.out
    assert sql(sandbox, "SELECT version_num FROM alembic_version") == newest_revision(sandbox)


@pytest.mark.does("find_revision")
def test_a_database_that_had_a_revision_is_not_stamped_by_its_schema(sandbox: Sandbox, inv: Inv) -> None:
    stack.release(sandbox.name, "migration")
    assert inv("hot-update", "--yes").code == 0
    stack.break_(sandbox.name, "forgotten-stamp")
    assert_refused(inv, sandbox, "has tables and no revision, but it had one: the run", "inv migrate --stamp REVISION")
    assert sql(sandbox, "SELECT to_regclass('alembic_version')") == ""
    stamped = inv("migrate", "--stamp", newest_revision(sandbox))
    assert stamped.code == 0, stamped.text
    assert inv("hot-update", "--yes").code == 0


def test_a_revision_that_alembic_keeps_elsewhere_is_found_there_and_never_guessed(sandbox: Sandbox, inv: Inv) -> None:
    assert inv("hot-update", "--yes").code == 0
    before = newest_revision(sandbox)
    stack.release(sandbox.name, "version-table")
    refused = inv("hot-update", "--yes")
    assert refused.code == 3, refused.text
    assert f"finds ops.alembic_version at no revision, but read was public.alembic_version at {before}" in refused.text
    assert sql(sandbox, "SELECT version_num FROM alembic_version") == before
    sql(sandbox, "CREATE SCHEMA ops; ALTER TABLE alembic_version SET SCHEMA ops")
    try:
        assert f"answers, at {before}" in inv("preflight").out
        updated = inv("hot-update", "--yes")
        assert updated.code == 0, updated.text
        assert "flask db stamp" not in updated.out
        assert sql(sandbox, "SELECT version_num FROM ops.alembic_version") == newest_revision(sandbox)
    finally:
        sql(sandbox, "ALTER TABLE ops.alembic_version SET SCHEMA public; DROP SCHEMA ops")
        stack.release(sandbox.name, "code")
        assert inv("hot-update", "--yes").code == 0


def test_a_schema_that_no_rule_matches_is_refused_with_the_way_to_stamp_by_hand(sandbox: Sandbox, inv: Inv) -> None:
    stack.break_(sandbox.name, "unstamped")
    rename = "ALTER TABLE database_size_aggregations RENAME COLUMN {} TO {}"
    sql(sandbox, rename.format("calculated_at", "calculated_when"))
    try:
        assert_refused(inv, sandbox, "no rule under migrate.stamp matches", "inv migrate --stamp REVISION")
        assert sql(sandbox, "SELECT to_regclass('alembic_version')") == ""
    finally:
        sql(sandbox, rename.format("calculated_when", "calculated_at"))


def test_a_recreated_container_is_told_and_then_gets_every_file(sandbox: Sandbox, inv: Inv) -> None:
    assert inv("hot-update", "--yes").code == 0
    stack.break_(sandbox.name, "recreated")
    told = "the container was recreated since "
    health = inv("health")
    assert health.code == 0, health.text
    assert "runs an unknown revision" in health.out
    assert told in health.out
    assert told in inv("preflight").out
    image = git(sandbox.origin, "rev-parse", DEPLOYED)
    for verb in ("health", "status", "preflight"):
        assert f"the code is that of {image[:7]} again" in inv(verb).out

    updated = inv("hot-update", "--yes")
    assert updated.code == 0, updated.text
    assert "copy (what runs is unknown)" in updated.out
    assert "sync (" not in updated.out
    release = execute(sandbox.app, "cat", "/app/app/static/release.txt")
    assert release.strip() == git(sandbox.path, "show", "HEAD:app/static/release.txt")
    after = inv("health")
    assert f"runs {git(sandbox.path, 'rev-parse', 'HEAD')[:7]}; drift: none" in after.out


@pytest.mark.does("COMMIT_OR_DISCARD", "PUSH_OR_DISCARD", "SAVED_FIRST")
@pytest.mark.parametrize(
    ("kind", "names", "recovered"),
    [
        ("dirty", ("2 uncommitted changes: README.md, docs/release notes.txt",), ("README.md",)),
        ("unpushed", ("1 commit on main that origin does not have", "Fix it on production"), ("hotfix.txt",)),
        ("detached", ("1 commit on a detached HEAD that origin does not have", "Fix it on"), ("hotfix.txt",)),
    ],
)
def test_work_on_production_is_refused_by_name_and_saved_before_it_is_discarded(
    sandbox: Sandbox, inv: Inv, kind: str, names: tuple[str, ...], recovered: tuple[str, ...]
) -> None:
    commit = stack.release(sandbox.name, "code")
    stack.break_(sandbox.name, kind)
    kept = {name: (sandbox.path / name).read_bytes() for name in recovered}
    assert_refused(inv, sandbox, *names, "give --discard")

    updated = inv("hot-update", "--yes", "--discard")
    assert updated.code == 0, updated.text
    assert "saved" in updated.out
    assert facts(sandbox).head == commit
    assert facts(sandbox).branch == "main"
    command = re.search(r"bring it back: (git .* refs/hot-update/saved/\S+)", updated.out)
    assert command, updated.out
    assert {name: (sandbox.path / name).exists() and (sandbox.path / name).read_bytes() for name in kept} != kept

    run(*stack.ssh_command(sandbox.name), command[1])
    assert {name: (sandbox.path / name).read_bytes() for name in kept} == kept
    if kind == "dirty":
        assert not (sandbox.path / "docs/release notes.txt").exists()
        assert (sandbox.path / "notes of the night.txt").read_text(encoding="utf-8") == "to be kept\n"


def test_a_clone_without_the_remote_is_told_which_remotes_there_are(sandbox: Sandbox, inv: Inv) -> None:
    git(sandbox.path, "remote", "rename", "origin", "upstream")
    try:
        assert_refused(inv, sandbox, "no remote origin; there is upstream", "set git.remote in invoke.yaml")
    finally:
        git(sandbox.path, "remote", "rename", "upstream", "origin")


def test_a_remote_without_the_branch_is_told_which_branches_there_are(sandbox: Sandbox, inv: Inv) -> None:
    git(sandbox.origin, "branch", "--move", "main", "trunk")
    try:
        assert_refused(inv, sandbox, "origin has no branch main; known are trunk", "set git.branch in invoke.yaml")
    finally:
        git(sandbox.origin, "branch", "--move", "trunk", "main")


def test_a_required_key_without_a_value_is_named_and_no_value_is_shown(sandbox: Sandbox, inv: Inv) -> None:
    before = sandbox.env_file.read_text(encoding="utf-8")
    secrets = re.findall(r"^\w*(?:PASSWORD|SECRET|KEY|URL)\w*=(.{8,})$", before, re.MULTILINE)
    sandbox.env_file.write_text(re.sub("^SECRET_KEY=.*$", "SECRET_KEY=''", before, flags=re.MULTILINE), "utf-8")
    try:
        said = assert_refused(inv, sandbox, ".env has no value for SECRET_KEY", "set it there")
    finally:
        sandbox.env_file.write_text(before, encoding="utf-8")
    assert len(secrets) >= 5
    assert [secret for secret in secrets if secret in said] == []


def test_a_check_that_is_404_everywhere_is_refused_as_a_wrong_setting(
    sandbox: Sandbox, inv: Inv, tmp_path: Path
) -> None:
    check = {"name": "direct", "url": f"http://127.0.0.1:{sandbox.app_port}", "paths": ["/gone", "/gone/too"]}
    settings = overridden(sandbox, tmp_path, health={"checks": [check]}, restart={"check": "direct"})
    url = check["url"]
    assert_refused(inv, sandbox, f"404 at {url}/gone, {url}/gone/too", "health.checks", settings=settings)


def test_a_container_of_another_service_is_never_updated(sandbox: Sandbox, inv: Inv, tmp_path: Path) -> None:
    settings = overridden(sandbox, tmp_path, app={"container": sandbox.redis})
    told = f"{sandbox.redis} is not of the compose service whalefall but of redis"
    verbs = ("hot-update --yes", "clean", "restart")
    assert_refused(inv, sandbox, told, "set app.container", verbs=verbs, settings=settings)


def test_a_restart_is_of_the_container_that_was_read_whatever_compose_is_told_on_the_host(
    sandbox: Sandbox, inv: Inv
) -> None:
    file, env = sandbox.path / "docker-compose.prod.yml", sandbox.env_file.read_text(encoding="utf-8")
    kept, before = file.read_text(encoding="utf-8"), facts(sandbox)
    with sandbox.env_file.open("a", encoding="utf-8") as told:
        told.write("COMPOSE_PROJECT_NAME=other\nCOMPOSE_FILE=nowhere.yml\n")
    try:
        first = inv("restart", "--strategy", "container")
        between = facts(sandbox)
        file.write_text("services: [", encoding="ascii")
        second = inv("restart", "--strategy", "container")
    finally:
        file.write_text(kept, encoding="utf-8")
        sandbox.env_file.write_text(env, encoding="utf-8")
    assert (first.code, "docker restart" in first.out) == (0, False), first.text
    assert (second.code, f"docker restart {sandbox.app}" in second.out) == (0, True), second.text
    started = {found.started for found in (before, between, facts(sandbox))}
    assert (len(started), facts(sandbox).container) == (3, before.container)


@pytest.mark.deep
def test_a_second_replica_is_updated_too_and_once_it_is_stopped_it_stays_so(
    sandbox: Sandbox, inv: Inv, tmp_path: Path
) -> None:
    commit = stack.release(sandbox.name, "code")
    stack.break_(sandbox.name, "replica")
    (name,) = replicas(sandbox)
    assert f"drift       {name}: " in inv("status").out
    updated = inv("hot-update", "--yes")
    assert (updated.code, f"✓ restart@{name} " in updated.out) == (0, True), updated.text
    record = json.loads(execute(name, "cat", "/var/lib/hot-update/record.json", user="root"))
    assert (record["revision"], "drift       none" in inv("status").out) == (commit, True)
    run("docker", "stop", name)
    settings = overridden(sandbox, tmp_path, restart={"strategy": "container"})
    restarted = inv("-f", settings, "restart")
    assert (restarted.code, "the app answers (200)" in restarted.out) == (0, True), restarted.text
    assert run("docker", "inspect", "--format", "{{.State.Running}}", name) == "false\n"


def overridden(sandbox: Sandbox, folder: Path, **sections: object) -> str:
    """Write a settings file that overrides sections of the sandbox's target; return its path."""
    file = folder / "override.yaml"
    file.write_text(yaml.safe_dump({"targets": {sandbox.name: sections}}), encoding="utf-8")
    return str(file)


def newest_revision(sandbox: Sandbox) -> str:
    """Return the head of the migrations in the clone."""
    texts = [path.read_text(encoding="utf-8") for path in (sandbox.path / "migrations/versions").glob("*.py")]
    revisions = {match[1] for text in texts if (match := re.search(r'^revision = "(\w+)"', text, re.MULTILINE))}
    parents = {match[1] for text in texts if (match := re.search(r'^down_revision = "(\w+)"', text, re.MULTILINE))}
    (head,) = revisions - parents
    return head


def test_a_proof_that_the_memory_limit_kills_is_told_as_the_kernel_tells_it(
    sandbox: Sandbox, inv: Inv, tmp_path: Path
) -> None:
    assert inv("hot-update", "--yes").code == 0
    stack.release(sandbox.name, "code")
    hungry = "/app/.venv/bin/python -c 'b\"x\" * (1 << 30)'"
    settings = overridden(sandbox, tmp_path, proof={"command": hungry})
    before = facts(sandbox)
    run("docker", "update", "--memory", "500m", "--memory-swap", "500m", sandbox.app)
    try:
        ended = inv("-f", settings, "hot-update", "--yes")
        preflight = inv("preflight")
    finally:
        run("docker", "update", "--memory", "1000g", "--memory-swap", "1000g", sandbox.app)
    assert ended.code == 3, ended.text
    told = f"the kernel killed a process in {sandbox.app} for want of memory (its limit: 500 MiB; oom_kill: "
    assert (told in ended.err, "raise the memory limit" in ended.err) == (True, True), ended.text
    assert re.search(r"memory .* of 500 MiB are left", preflight.out), preflight.text
    assert facts(sandbox) == before
