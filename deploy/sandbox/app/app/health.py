"""Health endpoints: a basic one, and one that really asks PostgreSQL and Redis."""

import logging
import os
from collections.abc import Callable

import redis
from flask import Blueprint, current_app
from sqlalchemy import text

from app.models import db

routes = Blueprint("health", __name__)
logger = logging.getLogger("whalefall.health")


@routes.get("/api/v1/health/basic")
def basic():
    """Say that the app answers."""
    return {"success": True, "data": {"status": "healthy"}}


@routes.get("/api/v1/health")
def direct():
    """Ask everything that the app needs; 503 when one of them fails."""
    answers = {
        "database": "connected" if _works("database", _ask_database) else "disconnected",
        "redis": "connected" if _works("redis", _ask_redis) else "disconnected",
    }
    probes = [_works(name, probe) for name, probe in current_app.extensions.get("probes", {}).items()]
    healthy = all(probes) and set(answers.values()) == {"connected"}
    body = {"success": healthy, "data": {"status": "healthy" if healthy else "unhealthy", **answers}}
    return body, 200 if healthy else 503


def _ask_database() -> None:
    db.session.execute(text("SELECT 1"))


def _ask_redis() -> None:
    redis.Redis.from_url(os.environ["REDIS_URL"], socket_connect_timeout=3, socket_timeout=3).ping()


def _works(name: str, probe: Callable[[], None]) -> bool:
    try:
        probe()
    except Exception as error:  # noqa: BLE001 - whatever it is, the answer is "unhealthy" and the log says why
        logger.error("%s: %s", name, str(error).splitlines()[0])
        return False
    return True
