"""What a file says against what is found."""

from dataclasses import replace

import pytest

from deploy.discovery.drift import drift
from deploy.discovery.facts import Answer
from deploy.settings import Settings
from deploy.settings.model import Also, App, Compose, Database, Target
from tests.discovery.build import app, container, facts
from tests.texts import as_text

ALONE = facts(app(), answers=(Answer("http://localhost", "/healthz", 200, "nginx"),))


def settings(**sections: object) -> Settings:
    usual = Settings(target=Target("prod", "host"), app=App(service="web", container="", path="/srv/app"), redis=None)
    return replace(usual, **sections)  # type: ignore[arg-type]


def drifted(told: Settings) -> dict[str, str]:
    return {one.key: as_text(one.told) for one in drift(told, ALONE) if one.certain}


@pytest.mark.parametrize(
    ("told", "key", "expected"),
    [
        pytest.param(
            settings(), "app.image", "whalefall:prod, but found is shop:1: its container was made from it", id="image"
        ),
        pytest.param(settings(also={"w": Also("worker")}), "also", "names what is not there: worker", id="also"),
        pytest.param(
            settings(compose=Compose("compose.yaml", ("old",))),
            "compose.needs",
            "names what is not there: old",
            id="needs",
        ),
        pytest.param(
            settings(app=App(service="web", container="gone")),
            "app.container",
            "there is no container gone here",
            id="container",
        ),
        pytest.param(
            settings(database=Database(kind="none")),
            "database.kind",
            "none, but found is postgres: the app's database URL says so",
            id="database",
        ),
        pytest.param(
            settings(app=App(service="gone")),
            "app.container",
            "there is no container whalefall_app_prod here",
            id="service",
        ),
        pytest.param(
            settings(),
            "health.checks",
            "direct is asked at http://localhost:5001, which no published port is",
            id="port",
        ),
        pytest.param(
            settings(), "env.required", "names what is not there: POSTGRES_PASSWORD, REDIS_PASSWORD", id="env"
        ),
    ],
)
def test_what_differs_is_named(told: Settings, key: str, expected: str) -> None:
    assert drifted(told).get(key, "") == expected


def test_another_service_that_runs_the_code_is_named() -> None:
    other = container("worker", identity="sha256:1", inside={"folder": "/srv/app", "share": 1.0, "programs": [{}]})
    found = drift(settings(), facts(app(), other))
    assert [as_text(one.told) for one in found if one.key == "also"] == ["lacks worker"]


def test_where_the_app_does_not_run_nothing_is_certain() -> None:
    stopped = drift(settings(), facts(app(inside={}, state="exited")))
    assert stopped
    assert {one.certain for one in stopped} == {False}
