"""The shapes of the app: how it was in January 2026, and how it is today."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from deploy.errors import Exit, Failure
from deploy.message import say
from deploy.settings.model import App

APP = Path(__file__).parent / "app"
SHAPES = Path(__file__).parent / "shapes"


@dataclass(frozen=True)
class Shape:
    """What one state of the app has of its own."""

    name: str
    # The folders of its files; those of a later one replace an earlier one's, or come beside them.
    sources: tuple[Path, ...]
    # Who owns the code, and runs what is run by hand.
    user: str
    # Supervisor's programs that run the app's code.
    programs: tuple[str, ...]
    # The logs that tell why the app is ill.
    logs: tuple[str, ...]
    # What answers 200 through Nginx while the app is well, beside its health check, by the name of the check.
    checks: Mapping[str, str] = field(default_factory=dict)
    # What .env has more.
    env: Mapping[str, str] = field(default_factory=dict)


JANUARY = Shape(
    name="january",
    sources=(APP,),
    user="whalefall",
    programs=("whalefall",),
    logs=(
        "/var/log/supervisord.log",
        "/var/log/nginx/whalefall_error.log",
        "/app/userdata/logs/gunicorn_error.log",
        "/app/userdata/logs/whalefall_error.log",
        "/app/userdata/logs/whalefall.log",
        "/app/userdata/logs/gunicorn_access.log",
        "/var/log/nginx/whalefall_access.log",
    ),
)
TODAY = Shape(
    name="today",
    sources=(APP, SHAPES / "today"),
    user="root",
    programs=("whalefall_web", "whalefall_scheduler"),
    # The settings' own default is WhaleFall as it is today.
    logs=App().logs,
    checks={"scheduler": "/api/v1/scheduler/status"},
    env={"WHALEFALL_NGINX_SERVER_NAMES": '"localhost whalefall.example"'},
)
NAMES = {shape.name: shape for shape in (JANUARY, TODAY)}


def named(name: str) -> Shape:
    """Return the shape of this name; Failure when there is none."""
    if name not in NAMES:
        raise Failure(say("there is no shape %s", repr(name)), remedy=say("one of: %s", tuple(NAMES)), code=Exit.USAGE)
    return NAMES[name]
