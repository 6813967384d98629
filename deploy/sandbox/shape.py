"""The shapes of the sandbox: WhaleFall in January 2026 and today, and other layouts that apps have in Compose.

What is told to the target of a sandbox stands in a file of its shape's name in `SHAPES`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from deploy.errors import Exit, Failure
from deploy.message import say

# The files of the app that every shape has.
APP = Path(__file__).parent / "app"
SHAPES = Path(__file__).parent / "shapes"
# Those of every shape without a Supervisor.
LEAN = SHAPES / "lean"
BASIC_HEALTH = "/api/v1/health/basic"
# How Compose names a container that the compose file does not name.
UNNAMED = "whalefall-{sandbox}-{service}-1"


@dataclass(frozen=True)
class Shape:
    """What one shape has of its own."""

    name: str
    # The folders of its files; those of a later one replace an earlier one's, or come beside them.
    sources: tuple[Path, ...]
    compose_file: str
    dockerfile: str
    # The folders in `services` of the image that the app's is built on, and of everything else.
    base: str
    others: tuple[str, ...]
    # The container of each service, by the names of sandbox and service, and of the project elsewhere.
    containers: Mapping[str, str]
    # The services of app and database; the database's kind, its owner, and its name.
    app: str
    database: str
    kind: Literal["postgres", "mysql"]
    owner: str
    dbname: str
    # Where the code lies, the command that migrates, who owns the code and runs what is run by hand.
    path: str
    flask: str
    user: str
    # The service of Redis; empty: there is none.
    redis: str = ""
    # The file in `SHAPES` of the Compose project that the database is a service of; empty: it is one of the app's.
    elsewhere: str = ""
    # The folder of what customers leave, from `path` on.
    userdata: str = "userdata"
    # How many containers the app's service has, and which other services run the code.
    replicas: int = 1
    also: tuple[str, ...] = ()
    # Supervisor's programs that run the app's code.
    programs: tuple[str, ...] = ()
    # What answers 200 at the front door while the app is well, by the name of the check.
    checks: Mapping[str, str] = field(default_factory=dict)
    # The same of the app's own port; empty: it is not published.
    direct: str = ""
    # What .env has more; it may refer to what every .env has, and to the project elsewhere.
    env: Mapping[str, str] = field(default_factory=dict)


JANUARY = Shape(
    name="january",
    sources=(APP, SHAPES / "january"),
    compose_file="docker-compose.prod.yml",
    dockerfile="Dockerfile.prod",
    base="app",
    others=("postgres", "redis"),
    containers={
        "postgres": "whalefall_postgres_{sandbox}",
        "redis": "whalefall_redis_{sandbox}",
        "whalefall": "whalefall_app_{sandbox}",
    },
    app="whalefall",
    database="postgres",
    kind="postgres",
    owner="whalefall_user",
    dbname="whalefall_prod",
    path="/app",
    flask="/app/.venv/bin/flask",
    user="whalefall",
    redis="redis",
    programs=("whalefall",),
    checks={"nginx": BASIC_HEALTH},
    direct=BASIC_HEALTH,
)
TODAY = replace(
    JANUARY,
    name="today",
    sources=(*JANUARY.sources, SHAPES / "today"),
    user="root",
    programs=("whalefall_web", "whalefall_scheduler"),
    checks={"nginx": BASIC_HEALTH, "scheduler": "/api/v1/scheduler/status"},
    env={"WHALEFALL_NGINX_SERVER_NAMES": '"localhost whalefall.example"'},
)
# Today's on several hosts: only the database is none of a host's own services.
HOSTS = replace(
    TODAY,
    name="hosts",
    sources=(*TODAY.sources, SHAPES / "hosts"),
    containers={**TODAY.containers, "postgres": "{elsewhere}-{service}-1"},
    elsewhere="hosts.database.yml",
    env={**TODAY.env, "DATABASE_NETWORK": "{elsewhere}_default"},
)
CELERY = Shape(
    name="celery",
    sources=(APP, LEAN, SHAPES / "celery"),
    compose_file="docker-compose.yml",
    dockerfile="Dockerfile",
    base="celery",
    others=("nginx", "postgres", "redis"),
    containers=dict.fromkeys(("db", "redis", "web", "celery_worker", "celery_beat", "nginx"), UNNAMED),
    app="web",
    database="db",
    kind="postgres",
    owner="shop",
    dbname="shop_prod",
    path="/usr/src/app",
    flask="/usr/bin/flask",
    user="app",
    redis="redis",
    also=("celery_worker", "celery_beat"),
    checks={"nginx": "/health"},
    env={
        "DATABASE_URL": "postgresql://shop:{POSTGRES_PASSWORD}@db:5432/shop_prod",
        "REDIS_URL": "redis://:{REDIS_PASSWORD}@redis:6379/0",
    },
)
REPLICAS = Shape(
    name="replicas",
    sources=(APP, LEAN, SHAPES / "replicas"),
    compose_file="docker-compose.yml",
    dockerfile="Dockerfile",
    base="celery",
    others=("nginx", "postgres"),
    containers={"web": UNNAMED, "nginx": UNNAMED, "postgres": "{elsewhere}-{service}-1"},
    app="web",
    database="postgres",
    kind="postgres",
    owner="shop",
    dbname="shop_prod",
    path="/usr/src/app",
    flask="/usr/bin/flask",
    user="app",
    elsewhere="replicas.database.yml",
    replicas=2,
    checks={"nginx": "/health"},
    env={
        "DATABASE_URL": "postgresql://shop:{POSTGRES_PASSWORD}@db.shop.internal:5432/shop_prod",
        "DATABASE_NETWORK": "{elsewhere}_default",
    },
)
MOUNTED = Shape(
    name="mounted",
    sources=(APP, LEAN, SHAPES / "mounted"),
    compose_file="docker-compose.yml",
    dockerfile="Dockerfile",
    base="celery",
    others=("mariadb", "redis"),
    containers=dict.fromkeys(("board", "db", "cache"), UNNAMED),
    app="board",
    database="db",
    kind="mysql",
    owner="board",
    dbname="board_prod",
    path="/opt/board",
    flask="/usr/bin/flask",
    user="board",
    redis="cache",
    userdata="/var/lib/board",
    checks={"web": "/health"},
    env={
        "DATABASE_URL": "mysql+pymysql://board:{MARIADB_PASSWORD}@db:3306/board_prod?charset=utf8mb4",
        "REDIS_URL": "redis://:{REDIS_PASSWORD}@cache:6379/0",
    },
)
NAMES = {shape.name: shape for shape in (JANUARY, TODAY, CELERY, REPLICAS, MOUNTED)}


def on_hosts(shape: Shape) -> Shape:
    """Return what a shape is on each of several hosts; Failure when there is none such."""
    if shape != TODAY:
        fact = say("there is no sandbox of several hosts of the shape %s", shape.name)
        raise Failure(fact, remedy=say("one of: %s", (TODAY.name,)), code=Exit.USAGE)
    return HOSTS


def named(name: str) -> Shape:
    """Return the shape of this name; Failure when there is none."""
    if name not in NAMES:
        raise Failure(say("there is no shape %s", repr(name)), remedy=say("one of: %s", tuple(NAMES)), code=Exit.USAGE)
    return NAMES[name]
