"""A production host where all is well, as plain values; tests change one thing in it."""

from dataclasses import replace
from typing import Any

from deploy.message import NOTHING, Printed, say
from deploy.plan import Options
from deploy.preflight import judge
from deploy.settings import Settings, Target
from deploy.state import (
    App,
    Chain,
    Container,
    Database,
    Probe,
    Program,
    Record,
    Repository,
    Revision,
    Sources,
    State,
)
from tests.texts import as_text

OLD = "1" * 40
NEW = "2" * 40
BLOB, OLDER_BLOB = "b" * 40, "a" * 40
BASE, MIDDLE, HEAD = "20251219161048", "20251224120000", "20251224134000"

SETTINGS = Settings(target=Target(name="prod", host="deploy@prod", path="/opt/whalefall"))

CHAIN = Chain(
    heads=(HEAD,),
    revisions=(
        Revision(BASE, (), Printed("baseline")),
        Revision(MIDDLE, (BASE,), Printed("drop")),
        Revision(HEAD, (MIDDLE,), Printed("time zone")),
    ),
)

# Of the sources of the frontend.
DIGEST, OTHER_DIGEST = "d" * 40, "e" * 40

REPOSITORY = Repository(
    problem=NOTHING,
    owner="root",
    remotes=(("origin", "git@example.com:whalefall.git"),),
    branches=("main", "origin/main"),
    fetched=True,
    head=OLD,
    branch="main",
    target=NEW,
    incoming=(say("%s %s", "2222222", "fix the page"),),
)

RECORD = Record(OLD, True, "20260101T000000-abcd", {})

WEB = Program(
    id="a" * 12,
    name="whalefall_web",
    supervised=True,
    server=True,
    fresh=True,
    workers=2,
    config="/app/gunicorn.conf.py",
)
SCHEDULER = replace(
    WEB,
    id="b" * 12,
    name="whalefall_scheduler",
    workers=1,
    config="/app/nginx/gunicorn/gunicorn-scheduler.conf.py",
)

APP = App(
    owner="1000:1000",
    free_mib=5000,
    record=RECORD,
    drift=(),
    differs={"app/page.py": OLDER_BLOB},
    files={},
    built={"frontend": ""},
    programs=(WEB, SCHEDULER),
    worker_mib=50,
    memory_mib=4000,
    chain=CHAIN,
    target_chain=CHAIN,
    lacks=(),
    readonly=(),
    mounted={},
    problems=(),
    migrating=(),
)

STATE = State(
    user="deploy",
    boot_id="boot",
    clock="20260102T000000",
    tools=dict.fromkeys(("git", "curl", "docker", "awk", "tar", "flock", "setsid", "timeout"), "/usr/bin/x"),
    engine="20.10.24",
    engine_problem=NOTHING,
    compose="2.26.1",
    compose_file=True,
    free_mib=9000,
    env="there",
    env_empty=(),
    repository=REPOSITORY,
    containers={
        role: Container(
            name=f"whalefall_{name}_prod",
            id=f"{role}-id",
            image="sha256:image",
            status="running",
            restarts=0,
            started="2026-01-01T00:00:00Z",
            service=service,
            project="whalefall",
            folder="/opt/whalefall",
            environment="",
            files=("/opt/whalefall/docker-compose.prod.yml",),
            mounts={"/app/.env": "/opt/whalefall/.env"},
        )
        for role, name, service in (
            ("app", "app", "whalefall"),
            ("database", "postgres", "postgres"),
            ("redis", "redis", "redis"),
        )
    },
    siblings=(),
    app=APP,
    app_problem=NOTHING,
    running=OLD,
    changes=(("M", "app/page.py"),),
    image_files={"pyproject.toml": BLOB, "Dockerfile.prod": BLOB},
    image_changes={},
    image_changes_since_head={},
    database=Database(problem=NOTHING, tables=12, revisions=(HEAD,)),
    probes={
        "nginx": (Probe("http://localhost/api/v1/health/basic", 200),),
        "direct": (Probe("http://localhost:5001/api/v1/health/health", 200),),
    },
    logs=(),
    holder={},
    lock_held=False,
    history=(),
    image_revision="",
    image_created="2026-01-01T00:00:00Z",
    backup_free_mib=9000,
    guard="",
    damaged=(),
    sources={"frontend": Sources(target=DIGEST, running=OTHER_DIGEST, folder="none")},
)

# The same host once it runs the target.
UPDATED = replace(
    STATE,
    repository=replace(REPOSITORY, head=NEW, incoming=()),
    app=replace(APP, record=replace(RECORD, revision=NEW), differs={}),
    running=NEW,
    changes=(),
)


def repository(**changes: Any) -> State:
    return replace(STATE, repository=replace(REPOSITORY, **changes))


def app(**changes: Any) -> State:
    return replace(STATE, app=replace(APP, **changes))


def programs(*found: Program, **changes: Any) -> State:
    return app(programs=tuple(replace(one, **changes) for one in found))


def database(**changes: Any) -> State:
    return replace(STATE, database=replace(STATE.database, **changes))


def finding(check: str, state: State, options: Options | None = None) -> Any:
    """The finding of a check, as a person reads it; the worst where it has several."""
    found = [f for f in judge(SETTINGS, state, options or Options()) if f.check == check]
    return as_text(max(found, key=lambda f: ("ok", "warning", "refusal").index(f.level)))
