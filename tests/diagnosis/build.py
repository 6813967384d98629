"""A host that nothing is wrong with, as a diagnosis reads it; tests change one thing in it."""

from dataclasses import replace
from typing import Any

from deploy.diagnosis.facts import Container, Facts, File, Place, Process, Program, Sent
from deploy.diagnosis.judging import diagnose
from deploy.health import Check
from deploy.message import NOTHING, Message, Printed, say
from deploy.state import State
from tests.build import SETTINGS, STATE
from tests.texts import as_text

APP, DATABASE = "whalefall_app_prod", "whalefall_postgres_prod"
PAGE, SCRIPT, STYLE = "/", "/assets/main-1a2b3c4d.js", "/static/app.css"

CONTAINERS = tuple(
    Container(
        name=name,
        service=service,
        status="running",
        code=0,
        killed=False,
        restarts=0,
        health="healthy",
        started="2026-01-01T00:00:00.5Z",
        finished="0001-01-01T00:00:00Z",
        error=NOTHING,
    )
    for name, service in ((APP, "whalefall"), (DATABASE, "postgres"), ("whalefall_redis_prod", "redis"))
)
IN_APP = replace(
    CONTAINERS[0],
    programs=tuple(Program(name, "RUNNING") for name in ("nginx", "whalefall_web", "whalefall_scheduler")),
    processes=(
        Process(10, 4000, 8000, Printed("nginx: master process /usr/sbin/nginx")),
        Process(11, 4000, 30000, Printed("/app/.venv/bin/python /app/.venv/bin/gunicorn --config /app/nginx/x.py")),
    ),
    nginx=0,
)


def sent(door: str, path: str, **changes: Any) -> Sent:
    kind = "text/html" if path == PAGE else "text/css"
    return replace(Sent(door, path, 200, f"sum of {path}", kind, "no-store", "", "", ""), **changes)


FACTS = Facts(
    doors={"nginx": "http://localhost", "direct": "http://localhost:5001"},
    places=(Place("", "/", 90000, 9000, 10**6), Place(APP, "/", 90000, 8999, 10**6)),
    containers=(IN_APP, *CONTAINERS[1:]),
    files=(
        File("/app/frontend/dist", PAGE, f"sum of {PAGE}", 100),
        File("/app/frontend/dist", SCRIPT, f"sum of {SCRIPT}", 100),
        File("/app/app/static", STYLE, f"sum of {STYLE}", 100),
    ),
    sent=(
        sent("nginx", PAGE),
        sent("nginx", SCRIPT, cache_control="public, immutable, max-age=31536000"),
        sent("nginx", STYLE, cache_control="no-cache"),
        # The app has a page of its own there.
        sent("direct", PAGE, sum="another"),
        sent("direct", SCRIPT, status=404, sum="no such page", kind="text/html"),
        sent("direct", STYLE, cache_control="no-cache"),
    ),
    refers={"nginx": (SCRIPT,)},
)
WELL = tuple(
    Check(name, f"http://localhost/{name}", healthy=True, status=200, latency_ms=3.0, problem=None)
    for name in ("nginx", "direct")
)


def ill(**statuses: int | None) -> tuple[Check, ...]:
    """The checks, of which these are ill; None: no answer."""

    def problem(status: int | None) -> Message:
        return say("answered %s", status) if status else say("no answer: connection refused")

    return tuple(
        replace(check, healthy=False, status=statuses[check.name], problem=problem(statuses[check.name]))
        if check.name in statuses
        else check
        for check in WELL
    )


def container(name: str, **changes: Any) -> Facts:
    """The facts with one container changed."""
    return replace(
        FACTS, containers=tuple(replace(one, **changes) if one.name == name else one for one in FACTS.containers)
    )


def stopped(role: str, status: str = "exited") -> State:
    """The state with the container of a role stopped."""
    found = replace(STATE.containers[role], status=status)
    state = replace(STATE, containers={**STATE.containers, role: found})
    return replace(state, app=None) if role == "app" else state


def found(state: State = STATE, checks: tuple[Check, ...] = WELL, facts: Facts = FACTS) -> tuple[Any, ...]:
    """What is found, as a person reads it."""
    return tuple(as_text(diagnose(SETTINGS, state, checks, facts)))


def checks_of(diagnoses: tuple[Any, ...]) -> list[str]:
    return [one.check for one in diagnoses]
