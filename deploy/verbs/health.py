"""Ask how production is."""

import time

from deploy import builds, preflight, releases, remedies
from deploy.errors import Failure
from deploy.message import say
from deploy.verbs.session import Session

# Seconds between two rounds of health --watch.
WATCH_PAUSE = 2.0


def ask(session: Session, *, watch: bool, as_json: bool) -> None:
    """Ask every check through the connection; raise unless all are healthy."""
    settings, report = session.settings, session.report
    while True:
        checks, state = session.examine("running")
        if as_json:
            report.health_json(settings.target.name, checks, state)
        else:
            report.health(checks)
            running = releases.running(state)[:7] or say("an unknown revision")
            report.line(say("  runs %s; drift: %s", running, preflight.drift(state) or say("none")))
            report.stale(builds.stale(state))
            if state.holder and not state.lock_held:
                report.line(
                    say("  run %s died: %s", state.holder.get("run", "?"), remedies.finish_run(settings.target.name)),
                    "yellow",
                )
        if not watch:
            break
        time.sleep(WATCH_PAUSE)
    ill = tuple(check.name for check in checks if not check.healthy)
    if ill:
        why = preflight.last_error(settings, state)
        evidence = (say("last error in the logs: %s", why),) if why else ()
        remedy = remedies.look(settings.target.name)
        raise Failure(say("%s is not healthy: %s", settings.target.name, ill), evidence=evidence, remedy=remedy)
