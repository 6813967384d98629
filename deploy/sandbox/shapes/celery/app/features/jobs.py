"""Background jobs by Celery: one that takes its time, and one that the beat sends each second."""

import json
import os
import time

import redis
from celery import Celery, shared_task
from celery.result import AsyncResult
from flask import Blueprint, Flask, request

from app.release import RELEASE

routes = Blueprint("jobs", __name__)
TICKS, KEPT = "ticks", 1000


def register(application: Flask) -> None:
    """Add the routes, and Celery as an extension."""
    celery = Celery("shop", broker=os.environ["REDIS_URL"], backend=os.environ["REDIS_URL"])
    celery.conf.update(
        task_track_started=True,
        beat_schedule={"tick": {"task": "tick", "schedule": 1.0, "args": (RELEASE,), "options": {"expires": 10}}},
    )
    celery.set_default()
    application.extensions["celery"] = celery
    application.register_blueprint(routes)


@shared_task(name="report")
def report(seconds: float) -> dict[str, int]:
    """Take so long, and tell the release that did it."""
    time.sleep(seconds)
    return {"release": RELEASE}


@shared_task(name="tick")
def tick(beat: int) -> None:
    """Write down the releases of the beat that sent this and of the worker that does it."""
    line = json.dumps({"beat": beat, "worker": RELEASE, "at": time.time()})
    with _redis().pipeline() as pipeline:
        pipeline.rpush(TICKS, line).ltrim(TICKS, -KEPT, -1).execute()


@routes.post("/tasks")
def order():
    """Have the worker report, in so many seconds."""
    return {"id": report.delay(float(request.args.get("seconds", "20"))).id}, 202


@routes.get("/tasks/<identity>")
def follow(identity: str):
    """Tell how far a report is, and once it is there which release made it."""
    found = AsyncResult(identity)
    return {"state": found.state, **(found.result if found.successful() else {})}


@routes.get("/ticks")
def last():
    """Tell the last of what the beat sent, oldest first."""
    return [json.loads(line) for line in _redis().lrange(TICKS, -KEPT, -1)]


def _redis() -> redis.Redis:
    return redis.Redis.from_url(os.environ["REDIS_URL"], socket_connect_timeout=3, socket_timeout=3)
