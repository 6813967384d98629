"""What the preflight makes of a state: ok, warning or refusal, with its evidence."""

from dataclasses import replace
from typing import Any

import pytest

from deploy import steps
from deploy.errors import Exit, Failure
from deploy.message import Printed, say
from deploy.plan import Finding, Options, refuse
from deploy.preflight import judge, unsuitable
from deploy.settings import Settings
from deploy.state import Chain, Database, Installed, Memory, Probe, Sibling, State
from tests.build import (
    APP,
    BASE,
    BLOB,
    MIDDLE,
    NEW,
    OLDER_BLOB,
    RECORD,
    SETTINGS,
    STATE,
    app,
    database,
    finding,
    repository,
)
from tests.texts import as_text


def test_a_host_where_all_is_well_has_only_ok_findings() -> None:
    assert {f.level for f in judge(SETTINGS, STATE, Options())} == {"ok"}


@pytest.mark.parametrize(
    ("check", "state", "evidence"),
    [
        ("tools", replace(STATE, tools={"git": "", "curl": ""}), "not installed on the host: git, curl"),
        (
            "engine",
            replace(STATE, engine="", engine_problem=Printed("permission denied")),
            "Docker does not answer: permission denied",
        ),
        ("compose", replace(STATE, compose=""), "docker compose is missing (docker-compose v1 is not enough)"),
        ("compose", replace(STATE, compose_file=False), "no docker-compose.prod.yml in /opt/whalefall"),
        (
            "repository",
            repository(problem="fatal: not a git repository"),
            "/opt/whalefall is no git clone: fatal: not a git repository",
        ),
        (
            "repository",
            repository(index_lock="/opt/whalefall/.git/index.lock"),
            "another git is at work in the clone, or one was killed there",
        ),
        ("remote", repository(remotes=(("upstream", "x"),)), "no remote origin; there is upstream"),
        (
            "remote",
            repository(fetch_problem="fatal: no such branch", lacks_branch=True, branches=("master",)),
            "origin has no branch main; known are master",
        ),
        (
            "remote",
            repository(fetch_problem="fatal: unable to access"),
            "git fetch origin failed: fatal: unable to access",
        ),
        ("work tree", repository(uncommitted=(" M app/page.py",)), "1 uncommitted change:  M app/page.py"),
        ("work tree", repository(endangered=("notes.txt",)), "1 uncommitted change: ?? notes.txt"),
        ("commits", repository(unpushed=("abc fix",)), "1 commit on main that origin does not have: abc fix"),
        (
            "commits",
            repository(branch="", unpushed=("abc fix",)),
            "1 commit on a detached HEAD that origin does not have: abc fix",
        ),
        (
            "protected paths",
            repository(tracks_protected=(".env",)),
            "2222222 tracks what must never be overwritten: .env",
        ),
        (
            "filters",
            repository(filters=(".gitattributes",)),
            ".gitattributes names git filters (Git LFS?): their files are not what git stores",
        ),
        ("env", replace(STATE, env="missing"), "/opt/whalefall/.env is missing"),
        ("env", replace(STATE, env_empty=("SECRET_KEY",)), "/opt/whalefall/.env has no value for SECRET_KEY"),
        ("disk", replace(STATE, free_mib=3), "3 MiB free for /opt/whalefall on the host, 256 needed"),
        ("disk", app(readonly=("/app",)), "/app in the container is read-only"),
        ("disk", app(free_mib=3), "3 MiB free for /app in the container, 256 needed"),
        ("redis", replace(STATE, containers={}), "no container whalefall_redis_prod"),
        (
            "database",
            database(problem="FATAL: no such database"),
            "whalefall_prod does not answer: FATAL: no such database",
        ),
        ("migrations", app(target_chain=Chain(heads=("a", "b"))), "migrations has 2 heads: a, b"),
        ("migrations", database(revisions=("beef",)), "the database is at beef, which this code does not know"),
    ],
)
def test_it_refuses_with_evidence(check: str, state: State, evidence: str) -> None:
    found = finding(check, state)
    assert (found.level, found.evidence) == ("refusal", evidence)
    assert found.remedy


def test_an_env_file_that_cannot_be_read_is_refused_and_hides_no_other_finding() -> None:
    state = replace(STATE, env="unreadable")
    told = {found.check for found in judge(SETTINGS, state, Options())}
    assert told == {found.check for found in judge(SETTINGS, STATE, Options())}
    assert finding("env", state).level == "refusal"


def test_where_there_is_no_env_file_by_the_settings_none_is_missed() -> None:
    findings = judge(replace(SETTINGS, env=None), replace(STATE, env="none"), Options())
    (found,) = (as_text(one) for one in findings if one.check == "env")
    assert (found.level, found.evidence) == ("ok", "there is none, by the settings")


def test_a_stopped_service_is_refused_with_the_command_that_starts_it() -> None:
    containers = dict(STATE.containers) | {"redis": replace(STATE.containers["redis"], status="exited")}
    found = finding("redis", replace(STATE, containers=containers))
    assert found.evidence == "whalefall_redis_prod is exited"
    assert found.remedy == "on the host: docker start whalefall_redis_prod"


def looping(why: str) -> State:
    app = replace(STATE.containers["app"], status="restarting")
    return replace(STATE, containers={**STATE.containers, "app": app}, app=None, app_problem=say(why))


def test_a_container_that_ends_again_and_again_is_refused_with_its_last_error() -> None:
    (found,) = (one for one in refusals(looping("no such revision")) if one.check == "app container")
    assert found.evidence == "whalefall_app_prod ends again and again: no such revision"
    assert "docker logs --tail 50 whalefall_app_prod; " in found.remedy


def test_a_database_that_is_a_service_is_restored_though_the_apps_container_does_not_run() -> None:
    state = looping("no such revision")
    assert "app container" not in steps.restore.needs(SETTINGS, state)
    file = replace(SETTINGS, database=replace(SETTINGS.database, kind="sqlite"))
    assert "app container" in steps.restore.needs(file, state)
    assert "app container" in steps.restore.needs(SETTINGS, STATE)


def test_what_the_app_needs_besides_is_looked_at_as_the_rest_is() -> None:
    settings = replace(SETTINGS, compose=replace(SETTINGS.compose, needs=("rabbitmq", "search")))
    search = replace(STATE.containers["redis"], name="shop-search-1", service="search", status="exited")
    state = replace(STATE, containers={**STATE.containers, "service search": search})
    found = [as_text(f) for f in judge(settings, state, Options()) if f.check == "services"]
    assert [f.evidence for f in found] == [
        "Compose made no container of the service rabbitmq in /opt/whalefall",
        "shop-search-1 is exited",
    ]


def test_an_app_without_a_database_and_redis_is_asked_for_neither() -> None:
    settings = replace(SETTINGS, redis=None, database=replace(SETTINGS.database, kind="none"))
    state = replace(STATE, containers={"app": STATE.containers["app"]}, database=Database(none=True))
    checks = {found.check for found in judge(settings, state, Options())}
    assert not checks & {"database", "redis", "migrations", "backup"}
    assert {f.level for f in judge(settings, state, Options())} == {"ok"}
    names = [step.name for step in steps.plan("hot-update", steps.HOT_UPDATE, settings, state, Options(), "r").steps]
    assert not {"migrate", "backup"} & {*names}


BY_URL = replace(SETTINGS, database=replace(SETTINGS.database, url="DATABASE_URL"))
HOSTED = replace(BY_URL, backup=replace(SETTINGS.backup, client="host"))


@pytest.mark.parametrize(
    ("settings", "client", "options", "refused"),
    [
        (BY_URL, None, Options(), "whalefall_prod has no container of its own, and backup.client names no other"),
        (BY_URL, None, Options(no_backup=True), ""),
        (HOSTED, ("host", ""), Options(), "there is no program in host that can dump whalefall_prod"),
        (HOSTED, ("host", "pg_dump"), Options(), ""),
        (SETTINGS, None, Options(), ""),
    ],
)
def test_a_migration_of_what_cannot_be_dumped_is_refused_unless_it_may_go_without(
    settings: Settings, client: tuple[str, str] | None, options: Options, refused: str
) -> None:
    state = database(revisions=(MIDDLE,), client=client)
    found = [as_text(f) for f in judge(settings, state, options) if (f.check, f.level) == ("backup", "refusal")]
    assert [f.evidence.startswith(refused) for f in found] == [True] * bool(refused)


def test_what_cannot_be_dumped_is_proven_without_a_dump() -> None:
    mysql = replace(BY_URL, database=replace(BY_URL.database, kind="mysql"))
    for settings, expected in ((mysql, False), (replace(mysql, backup=HOSTED.backup), True)):
        names = [one.name for one in steps.plan("hot-update", steps.HOT_UPDATE, settings, STATE, Options(), "r").steps]
        assert ("backup" in names) is expected


def test_a_container_of_another_service_is_not_touched() -> None:
    containers = dict(STATE.containers) | {"app": replace(STATE.containers["app"], service="blog")}
    assert finding("app container", replace(STATE, containers=containers)).level == "refusal"


OTHER = Sibling("blog_app", "running", "blog", "/opt/blog")
REPLICA = Sibling("whalefall-whalefall-2", "running", "whalefall", "/opt/whalefall")


def test_a_replica_that_would_keep_the_old_release_is_refused_with_its_name() -> None:
    state = replace(STATE, siblings=(REPLICA, OTHER))
    (found,) = refusals(state)
    assert (found.check, "whalefall-whalefall-2" in found.evidence, "blog" in found.evidence) == (
        "app container",
        True,
        False,
    )
    assert found.remedy == "on the host: docker stop whalefall-whalefall-2"


@pytest.mark.parametrize("sibling", [replace(REPLICA, status="exited"), OTHER], ids=["stopped", "of another project"])
def test_a_container_of_the_service_that_serves_nobody_of_ours_is_no_replica(sibling: Sibling) -> None:
    assert refusals(replace(STATE, siblings=(sibling,))) == []


def test_a_container_that_another_project_made_is_refused_where_this_one_has_its_own() -> None:
    elsewhere = replace(STATE.containers["app"], project="staging", folder="/opt/staging")
    state = replace(STATE, containers=dict(STATE.containers) | {"app": elsewhere})
    (warning,) = (as_text(f) for f in judge(SETTINGS, state, Options()) if f.level == "warning")
    assert "was made by the Compose project staging in /opt/staging, not in /opt/whalefall" in warning.evidence
    (found,) = refusals(replace(state, siblings=(REPLICA,)))
    assert (found.check, found.remedy) == ("app container", "set app.container to it")


def refusals(state: State) -> list[Any]:
    return [as_text(found) for found in judge(SETTINGS, state, Options()) if found.level == "refusal"]


def test_an_app_that_is_ill_is_a_warning_with_its_last_error_line() -> None:
    ill = replace(
        STATE,
        probes=dict(STATE.probes) | {"direct": (Probe("http://localhost:5001/x", 0),)},
        logs=(("/app/userdata/logs/gunicorn_error.log", "ModuleNotFoundError: No module named 'x'"),),
    )
    found = finding("health", ill)
    assert found.level == "warning"
    assert found.evidence == "http://localhost:5001/x does not answer: ModuleNotFoundError: No module named 'x'"


def test_a_404_in_front_of_an_app_that_does_not_answer_is_no_wrong_setting() -> None:
    probes = {"nginx": (Probe("http://localhost/a", 404),), "direct": (Probe("http://localhost:5001/b", 0),)}
    found = finding("health", replace(STATE, probes=probes))
    assert found.level == "warning"
    assert found.evidence == "404 at http://localhost/a, and the app itself does not answer"


def test_a_check_that_is_404_everywhere_is_a_wrong_setting() -> None:
    state = replace(
        STATE, probes={"direct": (Probe("http://localhost:5001/a", 404), Probe("http://localhost:5001/b", 404))}
    )
    found = finding("health", state)
    assert found.evidence == "404 at http://localhost:5001/a, http://localhost:5001/b"
    assert found.remedy == "set the paths of the check direct under health.checks"


@pytest.mark.parametrize("state", [repository(uncommitted=(" M x",)), repository(unpushed=("abc fix",))])
def test_discard_turns_work_that_would_be_lost_into_a_warning(state: State) -> None:
    levels = {f.level for f in judge(SETTINGS, state, Options(discard=True))}
    assert levels == {"ok", "warning"}


def test_changed_dependencies_are_not_suitable_and_are_named() -> None:
    found = finding("suitable", replace(STATE, image_changes={"pyproject.toml": OLDER_BLOB}))
    assert found.level == "refusal"
    assert found.evidence == "not suitable for a hot update: pyproject.toml changed"
    assert "standard deployment" in found.remedy


def test_allowed_changes_are_a_warning() -> None:
    state = replace(STATE, image_changes={"pyproject.toml": OLDER_BLOB})
    assert finding("suitable", state, Options(allow_unsuitable=True)).level == "warning"


def test_changes_allowed_earlier_stay_a_warning() -> None:
    found = finding("suitable", app(record=replace(RECORD, overridden={"uv.lock": OLDER_BLOB})))
    assert (found.level, found.evidence) == ("warning", "the image still lacks earlier changes of uv.lock")


@pytest.mark.parametrize(("name", "in_image"), [("pyproject.toml", BLOB), ("uv.lock", "")], ids=["changed", "added"])
def test_a_change_that_was_allowed_earlier_and_is_taken_back_is_over(name: str, in_image: str) -> None:
    state = replace(app(record=replace(RECORD, overridden={name: in_image})), image_changes={name: OLDER_BLOB})
    assert finding("suitable", state).level == "ok"


def test_where_the_running_revision_is_unknown_the_bytes_in_the_container_tell() -> None:
    state = replace(
        STATE, running="", app=replace(APP, record=None, differs={"pyproject.toml": OLDER_BLOB, "app/page.py": BLOB})
    )
    assert unsuitable(SETTINGS, state) == {"pyproject.toml": OLDER_BLOB}


SITE = "nginx/sites-available/whalefall-prod"
PLACE = "/etc/nginx/templates/whalefall-prod.template"


def site(when: str) -> Settings:
    file = replace(SETTINGS.files["nginx"], when=when)  # type: ignore[arg-type]
    return replace(SETTINGS, files={**SETTINGS.files, "nginx": file})


@pytest.mark.parametrize("differs", [False, True])
def test_of_a_file_that_needs_the_standard_deployment_the_bytes_at_its_place_tell(differs: bool) -> None:
    bare = replace(APP, record=None, differs={SITE: OLDER_BLOB}, files={"nginx": Installed(PLACE, differs, False)})
    state = replace(STATE, running="", app=bare, image_files={SITE: BLOB})
    assert set(unsuitable(site("never"), state)) == ({SITE} if differs else set())
    assert unsuitable(site("asked"), state) == {}


@pytest.mark.parametrize(
    ("found", "options", "expected"),
    [
        (Installed(PLACE, False, True), Options(), []),
        (Installed(PLACE, True, False), Options(), ["is brought there only when asked for"]),
        (Installed(PLACE, True, True), Options(also=("nginx",)), []),
    ],
)
def test_a_file_that_is_brought_elsewhere_only_when_asked_for_is_told_otherwise(
    found: Installed, options: Options, expected: list[str]
) -> None:
    findings = [one for one in judge(SETTINGS, app(files={"nginx": found}), options) if one.check == "files"]
    assert [(one.level, as_text(one.evidence).rpartition(", and ")[2]) for one in findings] == [
        ("warning", end) for end in expected
    ]


def test_a_file_elsewhere_that_was_changed_by_hand_is_left_unless_asked_for() -> None:
    state = app(files={"supervisor": Installed("/etc/supervisor/conf.d/whalefall.conf", True, True)})
    assert "was changed by hand" in finding("files", state).evidence
    options = Options(also=("supervisor",))
    assert [one for one in judge(SETTINGS, state, options) if one.check == "files"] == []


def test_a_file_that_the_image_leaves_out_counts_only_when_it_changed_since_the_clones_commit() -> None:
    bare = replace(APP, record=None, differs={"Dockerfile.prod": None})
    state = replace(STATE, running="", app=bare)
    assert unsuitable(SETTINGS, state) == {}
    changed = {"Dockerfile.prod": OLDER_BLOB}
    assert unsuitable(SETTINGS, replace(state, image_changes_since_head=changed)) == changed


def test_a_recreated_container_is_a_warning() -> None:
    assert finding("release", app(record=None)).level == "warning"


def test_a_refused_plan_tells_every_refusal_that_its_verb_needs() -> None:
    findings = (
        Finding("refusal", "env", say("no .env"), say("put it back")),
        Finding("warning", "health", say("ill")),
        Finding("refusal", "disk", say("full"), say("free some")),
        Finding("refusal", "redis", say("exited"), say("start it")),
    )
    with pytest.raises(Failure) as caught:
        refuse(findings, ("env", "disk", "health"))
    told = as_text(caught.value)
    assert told.code is Exit.REFUSED
    assert told.fact == "env: no .env"
    assert told.evidence == ("disk: full → free some",)
    assert told.remedy == "put it back"


def test_the_targets_commit_is_named_in_the_finding_of_the_remote() -> None:
    assert finding("remote", STATE).evidence == f"origin/main at {NEW[:7]}, 1 new commit"


@pytest.mark.parametrize(
    ("held", "evidence"),
    [
        (True, "held by hot-update by ann@laptop, run r1"),
        (False, "left by hot-update by ann@laptop, run r1, which is gone"),
    ],
)
def test_a_lock_that_is_held_is_told_from_one_that_a_dead_run_left(held: bool, evidence: str) -> None:
    holder = {"verb": "hot-update", "operator": "ann@laptop", "run": "r1"}
    found = finding("lock", replace(STATE, holder=holder, lock_held=held))
    assert (found.level, found.evidence) == ("warning", evidence)


def test_a_migration_that_runs_already_is_refused() -> None:
    state = app(migrating=("flask db upgrade (process 7)",))
    found = finding("migrations", state)
    assert (found.level, "flask db upgrade (process 7)" in found.evidence) == ("refusal", True)


PENDING = database(revisions=(BASE,), size=100 * 2**20 + 1)


@pytest.mark.parametrize(("free", "level"), [(356, "refusal"), (357, "ok")])
def test_before_a_migration_the_dump_has_to_fit(free: int, level: str) -> None:
    found = finding("backup", replace(PENDING, backup_free_mib=free))
    assert found.level == level
    assert found.evidence.startswith(f"{free} MiB free for a dump in .git/hot-update/backups in the clone")
    assert "the database has 101 MiB" in found.evidence


@pytest.mark.parametrize(
    ("state", "options"),
    [
        (STATE, Options()),
        (PENDING, Options(no_backup=True)),
        (PENDING, Options(keep_schema=True)),
        (replace(PENDING, backup_free_mib=None), Options()),
    ],
    ids=["nothing pending", "no backup wanted", "schema kept", "room unknown"],
)
def test_without_a_dump_its_room_is_no_matter(state: State, options: Options) -> None:
    cramped = replace(state, backup_free_mib=state.backup_free_mib and 1)
    assert [f for f in judge(SETTINGS, cramped, options) if f.check == "backup"] == []


def test_a_container_without_a_record_is_told_with_the_revision_of_its_image() -> None:
    told, bare = "unknown: never hot-updated, the code is that of ", app(record=None)
    assert finding("release", bare).evidence == f"{told}the image of 2026-01-01"
    assert finding("release", replace(bare, image_revision=NEW)).evidence == f"{told}2222222"


def test_a_schema_that_is_kept_is_a_warning_that_says_what_it_means() -> None:
    database = replace(STATE.database, revisions=("beef",))
    old = replace(STATE, database=database)
    assert finding("migrations", old).level == "refusal"
    kept = finding("migrations", old, Options(keep_schema=True))
    assert (kept.level, "newer schema" in kept.evidence) == ("warning", True)


def test_an_index_whose_making_was_cut_off_is_a_warning_with_the_commands_for_it() -> None:
    found = finding("indexes", database(invalid_indexes=(("name_idx", "instances"),)))
    assert (found.level, "name_idx on instances is invalid" in found.evidence) == ("warning", True)
    assert "-c 'DROP INDEX CONCURRENTLY name_idx'; then" in found.remedy


@pytest.mark.parametrize(
    ("check", "state", "for_root"),
    [
        ("repository", repository(problem="fatal: dubious", foreign=True), "chown -R --reference=/opt/whalefall"),
        ("env", replace(STATE, env="unreadable"), "see ls -ld /opt/whalefall/.env on the host"),
    ],
)
def test_who_is_root_already_is_not_told_to_set_sudo(check: str, state: State, for_root: str) -> None:
    assert finding(check, replace(state, user="deploy")).remedy == "set sudo: true under the target"
    assert for_root in finding(check, replace(state, user="root")).remedy


def test_who_is_root_already_is_not_told_to_join_a_group() -> None:
    state = replace(STATE, engine="")
    assert "group docker" in finding("engine", replace(state, user="deploy")).remedy
    assert finding("engine", replace(state, user="root")).remedy == "sudo systemctl start docker on the host"


def test_a_mounted_file_that_the_release_changes_is_refused_with_its_source() -> None:
    found = finding("mounts", app(mounted={".env": ("x",), "docs": ("docs/a.md", "docs/b.md")}))
    assert (found.level, found.evidence) == (
        "refusal",
        "/app/.env is mounted from /opt/whalefall/.env, and the release changes x",
    )
    assert found.remedy.startswith("add .env to copy.exclude")


def test_missing_capabilities_are_a_warning_where_the_code_is_not_roots() -> None:
    found = finding("app container", app(lacks=("CHOWN", "KILL")))
    assert (found.level, "without the capabilities CHOWN, KILL" in found.evidence) == ("warning", True)
    assert finding("app container", app(lacks=("CHOWN",), owner="0:0")).level == "ok"


def test_too_little_memory_for_one_more_worker_is_a_warning_with_the_figures() -> None:
    found = finding("memory", replace(app(worker_mib=60), memory=Memory(limit=256, used=200, kills=0)))
    told = (found.level, found.evidence.split(" ", 1)[1])
    assert told == ("warning", "has 56 of 256 MiB left, and a worker takes 60 MiB")
    assert "raise mem_limit" in found.remedy


def test_memory_is_well_where_a_worker_has_room() -> None:
    found = finding("memory", replace(app(worker_mib=56), memory=Memory(limit=256, used=200, kills=9)))
    assert (found.level, found.evidence) == ("ok", "56 of 256 MiB are left")


def test_who_keeps_a_transaction_open_is_told_before_a_migration_waits_for_it() -> None:
    idle = (
        (
            "4711",
            say("session %s (user %s, application %s) since %s", "4711", "dba", "psql", "2026-01-01 08:00:00 UTC"),
        ),
    )
    waiting = database(idle=idle, revisions=(MIDDLE,))
    found = finding("sessions", waiting)
    assert found.level == "warning"
    assert "idle in a transaction" in found.evidence
    assert "session 4711 (user dba, application psql) since 2026-01-01 08:00:00 UTC" in found.evidence
    assert "pg_terminate_backend(4711)" in found.remedy
    for harmless, options in ((database(idle=idle), Options()), (waiting, Options(keep_schema=True))):
        assert [one for one in judge(SETTINGS, harmless, options) if one.check == "sessions"] == []


def test_a_file_that_is_mounted_at_its_place_is_told_and_left() -> None:
    place = "/etc/nginx/sites-enabled/whalefall"
    container = replace(STATE.containers["app"], mounts={"/etc/nginx/sites-enabled": "/srv/nginx"})
    state = replace(
        app(files={"nginx": Installed(place, differs=True, edited=False)}),
        containers={**STATE.containers, "app": container},
    )
    found = finding("files", state, Options(also=("nginx",)))
    assert f"{place} is mounted into the container from /srv/nginx" in found.evidence
    assert steps.files.reason(SETTINGS, state, Options(also=("nginx",))) is None
