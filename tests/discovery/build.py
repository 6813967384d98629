"""A deployment as it is told: an app server, a worker of the same image, a proxy, a database and Redis."""

from typing import Any

from deploy.discovery.facts import Answer, Container, Facts
from deploy.discovery.found import Found

TRACKED = ("Dockerfile", "app/__init__.py", "compose.yaml", "migrations/env.py", "migrations/script.py.mako")
WELL = '{"status": "ok", "release": 7, "redis": {"alive": true}}'
INSIDE: dict[str, Any] = {
    "server": "gunicorn",
    "folder": "/srv/app",
    "share": 1.0,
    "nginx": False,
    "logs": ["/srv/app/logs/access.log", "/srv/app/logs/error.log"],
    "there": [],
    "programs": [{"name": "gunicorn", "supervised": "", "server": True, "command": []}],
    "command": ["/venv/bin/python", "/venv/bin/gunicorn", "-c", "/srv/app/conf/gunicorn.py", "app:create_app()"],
    "python": "/venv/bin/python",
    "flask": "/venv/bin/flask",
    "urls": {"REDIS_URL": {"kind": "redis", "host": "cache", "user": "", "name": "0"}},
    "named": "",
    "rules": ["/healthz"],
    "migrations": "migrations",
    "database": {"kind": "postgres", "host": "db", "user": "shop", "name": "shop"},
    "variable": "DATABASE_URL",
}
WORKER = {"server": "", "folder": "/srv/app", "share": 1.0, "programs": [{"name": "rq worker", "supervised": ""}]}


def inside(**changes: Any) -> dict[str, Any]:
    return {**INSIDE, **changes}


def container(service: str, **told: Any) -> Container:
    return Container(f"shop-{service}-1", service, files=("compose.yaml",), **told)


def app(**told: Any) -> Container:
    return container("web", **{"image": "shop:1", "identity": "sha256:1", "inside": INSIDE, **told})


DATABASE = container("db", image="postgres:16", environment={"POSTGRES_USER": "owner", "POSTGRES_DB": "other"})
REDIS = container("cache", image="valkey/valkey:8")
PROXY = container("proxy", image="nginx:1.27", ports=("80/tcp 0.0.0.0 80",))


def facts(*containers: Container, **told: Any) -> Facts:
    """What is told; without containers those of a usual deployment."""
    usual: dict[str, Any] = {
        "branch": "main",
        "remote": "origin",
        "upstream": "main",
        "tracked": TRACKED,
        "env": ".env",
        "env_state": "there",
        "env_keys": ("SECRET_KEY", "DEBUG"),
        "containers": containers
        or (app(), container("worker", image="shop:1", identity="sha256:1", inside=WORKER), PROXY, DATABASE, REDIS),
        "answers": (Answer("http://localhost", "/healthz", 200, "nginx", WELL),),
    }
    return Facts(**{**usual, **told})


def by_key(found: tuple[Found, ...]) -> dict[str, Found]:
    return {one.key: one for one in found}
