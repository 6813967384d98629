"""Scheduled jobs, without a lock: only "one worker of one program" keeps them from running twice.

userdata/scheduler_life tells of every process that ran them: `begin PID TIME`, then `beat PID TIME` all the while, and
`job PID SECOND` for the job of that second. Two that ran them at once overlap there.
"""

import os
import threading
import time
from pathlib import Path

from flask import Blueprint

from app.release import RELEASE

LIFE = Path("userdata/scheduler_life")
BEAT_SECONDS = 0.05
routes = Blueprint("scheduler", __name__, url_prefix="/api/v1/scheduler")
# The seconds whose jobs this process has run; None where it runs no jobs.
_done: list[int] | None = None


@routes.get("/status")
def status():
    """Tell the process that runs the jobs; 503 from one that does not."""
    if _done is None:
        return {"error": "no scheduler runs here"}, 503
    return {"pid": os.getpid(), "release": RELEASE, "jobs": len(_done)}


def start() -> None:
    """Start the scheduler's thread where it is switched on."""
    global _done
    if os.environ.get("ENABLE_SCHEDULER", "true").lower() != "true":
        return
    time.sleep(float(os.environ.get("SCHEDULER_SECONDS", "0")))
    LIFE.parent.mkdir(exist_ok=True)
    _done = []
    threading.Thread(target=_run, args=(_done,), name="scheduler", daemon=True).start()


def _run(done: list[int]) -> None:
    """Run a job every second, for as long as this process lives."""
    with LIFE.open("ab", buffering=0) as life:
        now = time.time()
        life.write(f"begin {os.getpid()} {now:.3f}\n".encode())
        second = int(now)
        while True:
            time.sleep(BEAT_SECONDS)
            now = time.time()
            life.write(f"beat {os.getpid()} {now:.3f}\n".encode())
            if int(now) > second:
                second = int(now)
                life.write(f"job {os.getpid()} {second}\n".encode())
                done.append(second)
