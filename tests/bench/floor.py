"""What this machine needs at the least for an update of code: a proof, a worker's boot, and the scheduler's start.

Measured in the app's container, each from a process's start to its end, where nothing is served by it.
"""

import time
from statistics import median

from deploy.sandbox.compose import execute
from deploy.sandbox.home import Sandbox
from deploy.settings.model import Proof

# In a folder of its own: what the app keeps it keeps relative to its working directory.
IMPORT = """
cd "$(mktemp -d)" && mkdir userdata && PYTHONPATH=/app PYTHONDONTWRITEBYTECODE=1 exec /app/.venv/bin/python -c '
import os, wsgi
os._exit(0)'
"""


def floor(sandbox: Sandbox, rounds: int) -> float:
    """Measure it, in seconds: the sum of the medians."""
    prove = f"cd /app && {Proof().command}"
    proofs, boots, starts = [], [], []
    for _ in range(rounds):
        proofs.append(_seconds(sandbox, prove, scheduler=False))
        boots.append(_seconds(sandbox, IMPORT, scheduler=False))
        starts.append(_seconds(sandbox, IMPORT, scheduler=True) - boots[-1])
    return median(proofs) + median(boots) + max(0.0, median(starts))


def _seconds(sandbox: Sandbox, script: str, *, scheduler: bool) -> float:
    began = time.monotonic()
    enabled = f"ENABLE_SCHEDULER={str(scheduler).lower()}"
    execute(sandbox.app, "env", enabled, "sh", "-ec", script, user=sandbox.shape.user)
    return time.monotonic() - began
