"""The health check: asks the database, and Redis where there is one."""

import logging
import os
from collections.abc import Callable

import redis
from flask import Blueprint, current_app
from sqlalchemy import text

from app.models import db

routes = Blueprint("health", __name__)
logger = logging.getLogger("whalefall.health")


@routes.get("/health")
def health():
    """Ask everything that the app needs; 503 when one of them fails."""
    probes = {"database": _ask_database}
    if "REDIS_URL" in os.environ:
        probes["redis"] = _ask_redis
    probes |= current_app.extensions.get("probes", {})
    answers = {name: _answer(name, probe) for name, probe in probes.items()}
    healthy = set(answers.values()) == {"ok"}
    return {"status": "ok" if healthy else "failing", **answers}, 200 if healthy else 503


def _ask_database() -> None:
    db.session.execute(text("SELECT 1"))


def _ask_redis() -> None:
    redis.Redis.from_url(os.environ["REDIS_URL"], socket_connect_timeout=3, socket_timeout=3).ping()


def _answer(name: str, probe: Callable[[], None]) -> str:
    try:
        probe()
    except Exception as error:  # noqa: BLE001 - whatever it is, the answer is "failing" and the log says why
        logger.error("%s: %s", name, str(error).splitlines()[0])
        return "failing"
    return "ok"
