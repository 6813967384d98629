"""Ask how production is."""

import time

from deploy import preflight, releases, remedies
from deploy.errors import Failure
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
            running = releases.running(state)[:7] or "an unknown revision"
            report.line(f"  runs {running}; drift: {preflight.drift(state) or 'none'}")
            if state.holder and not state.lock_held:
                report.line(
                    f"  run {state.holder.get('run', '?')} died: {remedies.finish_run(settings.target.name)}", "yellow"
                )
        if not watch:
            break
        time.sleep(WATCH_PAUSE)
    ill = ", ".join(check.name for check in checks if not check.healthy)
    if ill:
        why = preflight.last_error(settings, state)
        evidence = (f"last error in the logs: {why}",) if why else ()
        remedy = remedies.look(settings.target.name)
        raise Failure(f"{settings.target.name} is not healthy: {ill}", evidence=evidence, remedy=remedy)
