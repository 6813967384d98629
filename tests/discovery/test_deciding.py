"""From what a host tells to settings: each with its reason, and how sure that is."""

from dataclasses import replace
from typing import Any

import pytest

from deploy.discovery.deciding import decide
from deploy.discovery.facts import Answer, Container, Facts
from deploy.discovery.found import USUAL
from tests.discovery import build
from tests.discovery.build import app, by_key, container, facts, inside


def values(told: Facts, **given: Any) -> dict[str, Any]:
    return {one.key: one.value for one in decide(told, given) if one.differs and one.sure != "unknown"}


def unknown(told: Facts, **given: Any) -> list[str]:
    return [one.key for one in decide(told, given) if one.sure == "unknown"]


def test_a_usual_deployment_is_told_whole() -> None:
    assert unknown(facts()) == []
    assert values(facts()) == {
        "compose.file": "compose.yaml",
        "compose.needs": ["proxy"],
        "env.required": ["SECRET_KEY"],
        "app.service": "web",
        "app.container": "",
        "app.image": "shop:1",
        "app.path": "/srv/app",
        "app.python": "/venv/bin/python",
        "app.flask": "/venv/bin/flask",
        "app.logs": ["/srv/app/logs/error.log", "/srv/app/logs/access.log"],
        "also": {"worker": {}},
        "database.service": "db",
        "database.container": "",
        "database.user": "owner",
        "database.name": "shop",
        "redis.service": "cache",
        "redis.container": "",
        "preflight.unsuitable": ["Dockerfile*", "compose.yaml"],
        "files": {},
        "built": {},
        "clean.caches": [],
        "proof.scratch": [],
        "proof.command": "/venv/bin/gunicorn --check-config -c conf/gunicorn.py 'app:create_app()'",
        "migrate.stamp": [],
        "restart.single": [],
        "restart.exclusive_files": [],
        "restart.check": "nginx",
        "restart.reload": [],
        "health.checks": [
            {
                "name": "nginx",
                "url": "http://localhost",
                "paths": ["/healthz"],
                "expect": {"status": "ok", "redis.alive": True},
            }
        ],
    }


def test_what_is_given_goes_over_what_was_found_and_the_rest_follows_it() -> None:
    two = facts(app(), container("api", inside=inside(folder="/api")), build.DATABASE, build.REDIS)
    assert "app.service" in unknown(two)
    chosen = values(two, **{"app.service": "api", "database": {"kind": "none"}})
    assert (chosen["app.path"], chosen["also"]) == ("/api", {"web": {"path": "/srv/app"}})
    assert chosen["database"] == {"kind": "none"}
    assert "database.name" not in chosen


def test_a_default_that_fits_is_kept() -> None:
    checks = USUAL["health"]["checks"]
    answers = (
        Answer("http://localhost", "/api/v1/health/basic", 200, "nginx", '{"data": {"status": "healthy"}}'),
        Answer("http://localhost:5001", "/api/v1/health", 200, "gunicorn", HEALTHY),
    )
    ours = facts(app(inside=inside(there=["/var/log/supervisord.log"])), answers=answers)
    found = by_key(decide(ours, {}))
    assert found["health.checks"].value == checks
    assert (found["app.logs"].differs, found["restart.check"].value) == (False, "direct")


HEALTHY = '{"data": {"status": "healthy", "database": "connected", "redis": "connected"}}'


@pytest.mark.parametrize(
    ("url", "variable", "containers", "expected"),
    [
        pytest.param(
            {"kind": "mariadb", "host": "sql.example.com", "name": "shop"},
            "DATABASE_URL",
            (),
            {"database.kind": "mysql", "database.url": "DATABASE_URL", "database.name": "shop"},
            id="a server elsewhere",
        ),
        pytest.param(
            {"kind": "mysql", "host": "sql", "name": "shop"},
            "",
            (container("sql", image="mariadb:11", environment={"MYSQL_USER": "keeper"}),),
            {
                "database.kind": "mysql",
                "database.service": "sql",
                "database.container": "",
                "database.user": "keeper",
                "database.name": "shop",
            },
            id="a service",
        ),
        pytest.param(
            {"kind": "sqlite", "host": "", "name": "/srv/app/instance/shop.db"},
            "",
            (),
            {"database.kind": "sqlite", "database.name": "/srv/app/instance/shop.db"},
            id="a file",
        ),
        pytest.param({}, "", (), {"database.kind": "none"}, id="none"),
        pytest.param(
            {},
            "",
            (container("own", image="registry/own:3", environment={"POSTGRES_DB": "shop"}),),
            {
                "database.service": "own",
                "database.container": "",
                "database.user": "postgres",
                "database.name": "shop",
            },
            id="known by its variables",
        ),
    ],
)
def test_the_database_is_what_the_apps_url_names(
    url: dict[str, str], variable: str, containers: tuple[Container, ...], expected: dict[str, str]
) -> None:
    found = values(facts(app(inside=inside(database=url, variable=variable, urls={})), *containers))
    assert {key: value for key, value in found.items() if key.startswith("database")} == expected
    assert found["redis"] == "none"


def test_what_cannot_be_known_is_asked() -> None:
    ill = facts(
        app(inside={}), answers=(Answer("http://localhost", "/health", 503),), env_state="", branch="", upstream=""
    )
    asked = ["git.branch", "env.file", "app.service"]
    assert unknown(ill) == asked
    more = ["app.path", "app.python", "app.flask", "app.server", "proof.command", "health.checks"]
    assert unknown(ill, **{"app.service": "web"}) == [*asked[:2], *more]
    elsewhere = inside(database={"kind": "postgres", "host": "sql", "name": "shop"}, variable="")
    assert unknown(facts(app(inside=elsewhere))) == ["database.url"]


def test_what_git_ignores_among_the_code_is_protected() -> None:
    ours = app(
        ignored=(".env", "uploads/", "static/media/"), mounts={"/srv/app/data": "/data", "/srv/app/app": "/x/app"}
    )
    assert values(facts(ours))["copy.protected"] == [".env", ".venv", "userdata", "data", "static/media", "uploads"]


@pytest.mark.parametrize(
    ("command", "started", "expected"),
    [
        (["python", "-m", "gunicorn", "app:app"], (), "/venv/bin/python -m gunicorn --check-config app:app"),
        (["gunicorn: master [app:app]"], ("gunicorn", "-w", "2", "app:app"), "gunicorn --check-config -w 2 app:app"),
        (["gunicorn: master [app:app]"], ("/entrypoint.sh",), None),
        (
            ["/srv/app/.venv/bin/python", "/srv/app/.venv/bin/gunicorn", "-c", "/srv/app/c.py", "a:b"],
            (),
            "/srv/app/.venv/bin/gunicorn --check-config -c c.py a:b",
        ),
    ],
)
def test_the_proof_is_the_servers_own_command(
    command: list[str], started: tuple[str, ...], expected: str | None
) -> None:
    found = by_key(decide(facts(app(inside=inside(command=command), command=started)), {}))
    assert found["proof.command"].value == expected


def test_an_app_server_that_is_not_gunicorn_is_proven_by_an_import() -> None:
    ours = inside(server="waitress-serve", command=["/venv/bin/python", "/venv/bin/waitress-serve", "app:app"])
    found = by_key(decide(facts(app(inside=ours)), {}))
    assert (found["proof.command"].value, found["proof.command"].sure) == ("/venv/bin/flask routes", "likely")
    assert found["app.server"].value == "waitress-serve"


def test_what_flask_needs_to_find_the_app_is_told_to_its_migrations() -> None:
    found = values(facts(app(inside=inside(named="wsgi:app"))))
    told = {"ENABLE_SCHEDULER": "false", "FLASK_APP": "wsgi:app"}
    assert (found["migrate.environment"], found["proof.environment"]) == (told, told)


def test_a_page_that_answers_for_every_path_is_no_check_where_one_tells_how_things_are() -> None:
    answers = (
        Answer("http://localhost", "/healthz", 200, "nginx", "<html>"),
        Answer("http://localhost:8000", "/healthz", 200, "gunicorn", '{"status": "UP"}'),
    )
    (check,) = values(facts(answers=answers))["health.checks"]
    assert (check["name"], check["expect"]) == ("direct", {"status": "UP"})


def test_where_no_published_port_answers_well_the_app_is_asked_from_within_its_container() -> None:
    answers = [
        {"url": "http://localhost:8000", "path": "/ready", "status": 200, "server": "gunicorn", "body": build.WELL}
    ]
    told = facts(app(inside=inside(answers=answers)), answers=(Answer("http://localhost", "/ready", 301, "nginx"),))
    assert values(told)["health.checks"] == [
        {
            "name": "direct",
            "url": "http://localhost:8000",
            "paths": ["/ready"],
            "expect": {"status": "ok", "redis.alive": True},
            "inside": True,
        }
    ]


def test_where_the_app_has_replicas_each_is_asked_from_within_too() -> None:
    answers = [{"url": "http://localhost:8000", "path": "/healthz", "status": 200, "body": build.WELL}]
    first = app(inside=inside(answers=answers))
    found = values(facts(first, replace(first, name="shop-web-2")))
    assert [(one["name"], one.get("inside")) for one in found["health.checks"]] == [("nginx", None), ("direct", True)]


@pytest.mark.parametrize(
    ("told", "expected", "sure"),
    [
        ({"neighbours": {"sql": "data-sql-1"}, "dumpers": ("pg_dump",)}, "data-sql-1", "sure"),
        ({"dumpers": ("mysqldump", "pg_dump")}, "host", "likely"),
        ({"dumpers": ("mysqldump",)}, "", "likely"),
    ],
)
def test_a_database_elsewhere_is_dumped_in_its_container_else_on_the_host(
    told: dict[str, Any], expected: str, sure: str
) -> None:
    there = app(inside=inside(database={"kind": "postgres", "host": "sql", "name": "shop"}))
    found = by_key(decide(facts(there, **told), {}))["backup.client"]
    assert (found.value, found.sure) == (expected, sure)


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        (("sh", "/srv/app/entrypoint.sh"), ("restore", True)),
        (("./entrypoint.sh", "gunicorn"), ("restore", True)),
        (("sh", "-c", "flask db upgrade && exec gunicorn app:app"), ("restore", False)),
        (("gunicorn", "app:app"), ("keep", False)),
    ],
)
def test_a_container_that_migrates_as_it_starts_has_its_database_brought_back_by_an_undo(
    command: tuple[str, ...], expected: tuple[str, bool]
) -> None:
    tracked = (*build.TRACKED, "entrypoint.sh")
    told = facts(app(command=command), tracked=tracked, upgrading=("entrypoint.sh",))
    found = by_key(decide(told, {}))
    # And what it is started by is not for a hot update.
    assert (found["undo.database"].value, "entrypoint.sh" in found["preflight.unsuitable"].value) == expected


def test_tls_is_asked_where_the_same_does_not_answer_without() -> None:
    secure = Answer("https://localhost", "/healthz", 200, "nginx", build.WELL)
    plain = Answer("http://localhost", "/healthz", 200, "nginx", build.WELL)
    for answers, expected in (((secure,), "https://localhost"), ((secure, plain), "http://localhost")):
        assert [one["url"] for one in values(facts(answers=answers))["health.checks"]] == [expected]


def test_an_env_file_of_another_name_is_likely_only() -> None:
    found = by_key(decide(facts(env="conf/prod.env"), {}))["env.file"]
    assert (found.value, found.sure) == ("conf/prod.env", "likely")


def test_where_no_file_is_called_as_an_env_file_there_is_likely_none() -> None:
    found = by_key(decide(facts(env="", env_state="none"), {}))
    assert (found["env"].value, found["env"].sure, "env.required" in found) == ("none", "likely", False)


def test_settings_that_are_mounted_into_others_need_the_standard_deployment() -> None:
    mounts = {
        "/etc/nginx/conf.d": "proxy",
        "/srv/static": "static",
        "/x.cfg": "x.cfg",
        "/var/run/docker.sock": "/docker.sock",
    }
    told = facts(app(), container("proxy", mounts=mounts), tracked=("proxy/a.conf", "static/a.js", "x.cfg", "y.cfg"))
    assert values(told)["preflight.unsuitable"] == ["proxy/a.conf", "x.cfg"]
