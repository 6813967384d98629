"""A hot update in a process of its own, as inv hot-update carries it out, held or failing at a point.

python -m tests.faults.laptop TARGET SETTINGS POINT MOMENT [fail]; the first line that it prints is the run.
"""

import signal
import sys
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch

from deploy import settings, steps
from deploy.errors import Exit, Failure
from deploy.host import connect
from deploy.message import say
from deploy.plan import Options
from deploy.report import Report
from deploy.sandbox.home import load
from deploy.verbs import update
from deploy.verbs.session import Session
from tests.faults import points

ROOT = Path(__file__).resolve().parent.parent.parent


def carry_out(session: Session, point: str, moment: points.Moment, *, fail: bool) -> None:
    """Read, decide, have the plan held at the point, and carry it out."""
    decision = update.decide(session, "hot-update", steps.HOT_UPDATE, "remote", Options())
    decision.refuse()
    plan = points.held(decision.plan, point, moment, fail=fail)
    folder = load(session.settings.target.name).path / ".git/hot-update/runs" / decision.run
    print(decision.run, flush=True)  # noqa: T201 - for whoever started this
    prove = update.prove

    def proof(session: Session, revision: str, **options: Any) -> None:
        if fail:
            points.reach(folder)
            raise Failure(say("made to fail"))
        points.wait(folder)
        prove(session, revision, **options)

    with patch.object(update, "prove", proof if point == points.CONFIRM else prove):
        update.carry_out(session, plan, decision.state, decision.run)


def main(target: str, extra: str, point: str, moment: str, *fail: str) -> int:
    # A shell has what it starts in the background ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    chosen = settings.load(project=ROOT, extra=Path(extra), target=target)
    session = Session(chosen, lambda: connect(chosen.target, chosen.ssh, ask=None))
    try:
        carry_out(session, point, cast("points.Moment", moment), fail=bool(fail))
    except Failure as failure:
        Report().failure(failure)
        return failure.code
    except KeyboardInterrupt:
        return Exit.INTERRUPTED
    finally:
        session.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
