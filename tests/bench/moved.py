"""Count what an update moves into the app container: the bytes that docker exec reads from its stdin, step by step.

What is sent there while the state is read is no part of it.
"""

import sys
from contextlib import closing, redirect_stdout
from dataclasses import replace
from pathlib import Path

from deploy import settings, steps
from deploy.host import connect
from deploy.plan import Options, Plan
from deploy.sandbox.home import Sandbox
from deploy.shell import assign
from deploy.verbs import update
from deploy.verbs.session import Session

ROOT = Path(__file__).resolve().parents[2]

# Every program that a step starts outside of its shell is started by one of these two. The pipeline ends only after wc
# has written its count.
_COUNTED = """counted() { # PROGRAM ARGUMENT...
  if [[ " $* " != *' exec -i'*" $counted_container "* ]]; then command "$@"; return; fi
  { tee --output-error=warn-nopipe /dev/fd/3 | wc -c >>"$counted_in"; } 3>&1 | command "$@"
}
docker() { counted docker "$@"; }
timeout() { counted timeout "$@"; }
counted_in=$PWD/moved.
"""


def carry_out(sandbox: Sandbox) -> dict[str, int]:
    """Carry out a hot update, and return how many bytes each of its steps moved."""
    chosen = settings.load(project=ROOT, target=sandbox.name)
    session = Session(chosen, lambda: connect(chosen.target, chosen.ssh, ask=None))
    # Standard output is for the figures.
    with closing(session), redirect_stdout(sys.stderr):
        decision = update.decide(session, "hot-update", steps.HOT_UPDATE, "remote", Options())
        decision.refuse()
        update.carry_out(session, counting(decision.plan, sandbox.app), decision.state, decision.run)
    folder = sandbox.path / ".git/hot-update/runs" / decision.run
    return {file.suffix[1:]: sum(map(int, file.read_text().split())) for file in sorted(folder.glob("moved.*"))}


def counting(plan: Plan, container: str) -> Plan:
    """Have every step of a plan count, into a file `moved.STEP` of its run's folder, what it moves into a container."""
    head = assign(counted_container=container) + _COUNTED.removesuffix("\n")
    # What is counted ends with the input, which one that stands ready need not see.
    counted = (replace(step, early=False, script=f"{head}{step.name}\n{step.script}") for step in plan.steps)
    return replace(plan, steps=tuple(counted))
