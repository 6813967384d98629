"""How a run is held at a point: the scripts of its steps are wrapped before the host gets them.

A held run says so by a file `reached` in its folder, and goes on once there is a file `go`; one that is made to fail
there says the same.
"""

import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

from deploy.plan import Plan, Step
from deploy.steps import HOT_UPDATE
from deploy.steps import STEPS as ALL

Moment = Literal["before", "amid", "after"]

CONFIRM = "confirm"
# By shape of the app, the steps of an update that changes all that it can: only today's has a frontend and files that
# lie elsewhere, and code that is mounted moves with the clone. Of several containers a step is held in the first.
# Nothing stands before a sandbox that it could be taken out of.
EVERY = tuple(step for step in HOT_UPDATE if step not in ("drain", "undrain", "maintenance-on", "maintenance-off"))
PLAIN = tuple(step for step in EVERY if step not in ("build", "files", "ship"))
STEPS = {
    "today": EVERY,
    "january": PLAIN,
    "celery": PLAIN,
    "replicas": PLAIN,
    "mounted": ("backup", "proof", "migrate", "mount", "sync", "copy", "restart"),
}


def points(shape: str) -> tuple[str, ...]:
    """While a step runs, between two steps, while the host waits for the confirmation."""
    steps = STEPS[shape]
    within = (point for one, other in pairwise(steps) for point in (one, f"{one}-{other}"))
    return (*within, steps[-1], CONFIRM)


# By which command a step does what it is for: a word of it, one of these. Of any other step it is the first command.
DECISIVE = {
    "build": ("sh",),
    "proof": ("--check-config",),
    "backup": ("pg_dump", "mariadb-dump,mysqldump"),
    "sync": ("reset",),
    "migrate": ("upgrade",),
    "copy": ("bring",),
    "files": ("install",),
    "clean": ("clean",),
    "restart": ("replace",),
    "ship": ("ship",),
}
PAUSE = 0.05

_HOLD = """held_in=$PWD
hold_here() { : >"$held_in/reached"; until [ -e "$held_in/go" ]; do sleep 0.05; done; }
"""
_FAIL = """: >reached
echo 'made to fail' >&2
exit 1
"""
_MOMENTS = {
    "before": 'hold_here; command "$@" || status=$?',
    # A short while into it: none of these commands is over at once.
    "amid": 'command "$@" <&0 & sleep 0.3; hold_here; wait "$!" || status=$?',
    "after": 'command "$@" || status=$?; hold_here',
    "fail": 'command "$@" || true; : >"$held_in/reached"; echo "made to fail" >&2; status=1',
}
# Every program that a step starts outside of its shell is started by one of these.
_DECISIVE = """decisive() { # PROGRAM ARGUMENT...
  local status=0
  if [[ " $* " != *WORD* ]]; then command "$@"; return; fi
  MOMENT
  return "$status"
}
docker() { decisive docker "$@"; }
timeout() { decisive timeout "$@"; }
git() { decisive git "$@"; }
"""


def held(plan: Plan, point: str, moment: Moment, *, fail: bool) -> Plan:
    """Have a run held at a point, or `fail` there: within a step before, amid or after its decisive command."""
    inner, between = point in ALL, point.partition("-")[2]
    name = point if inner else between
    assert point == CONFIRM or any(step.name == name for step in plan.steps), f"the plan has no {name}"
    return replace(
        plan,
        steps=tuple(
            # It is to be met in its turn.
            replace(step, early=False, script=(_within(step, moment, fail) if inner else _first(fail)) + step.script)
            if step.name == name
            else step
            for step in plan.steps
        ),
    )


def reach(folder: Path) -> None:
    """Say that this process came to the point, as the scripts do."""
    (folder / "reached").touch()


def wait(folder: Path) -> None:
    """Hold this process at the point, as the scripts do."""
    reach(folder)
    while not (folder / "go").exists():
        time.sleep(PAUSE)


def _first(fail: bool) -> str:
    return _FAIL if fail else f"{_HOLD}hold_here\n"


def _within(step: Step, moment: Moment, fail: bool) -> str:
    words = "|".join(f"' {word} '" for word in DECISIVE.get(step.name, ()))
    body = _DECISIVE.replace("WORD", f"@({words})*" if words else "*")
    return _HOLD + body.replace("MOMENT", _MOMENTS["fail" if fail else moment])
