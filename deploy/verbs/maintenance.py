"""Put the maintenance page before the app, or take it away."""

from pathlib import Path

from deploy import maintenance, preflight, remedies
from deploy.errors import Exit, Failure
from deploy.message import Printed, say
from deploy.plan import Options, refuse
from deploy.settings import Settings
from deploy.steps import maintenance as steps
from deploy.verbs.follow import new_run_id
from deploy.verbs.session import Session
from deploy.verbs.update import carry_out

# In bytes: more than any page that stands by itself.
LARGEST = 1 << 18


def page(settings: Settings) -> str:
    """Give the page: the file of the settings, else one of their words."""
    file = settings.maintenance.file
    if not file:
        return maintenance.page(settings)
    place = Path(file).expanduser()
    try:
        content = place.read_bytes()
        read = content.decode("utf-8")
    except OSError as error:
        why = Printed(error.strerror or str(error))
        raise Failure(say("%s, the maintenance page, cannot be read: %s", str(place), why), code=Exit.USAGE) from None
    except UnicodeDecodeError:
        raise Failure(say("%s, the maintenance page, is no UTF-8", str(place)), code=Exit.USAGE) from None
    if not 0 < len(content) <= LARGEST or "\0" in read:
        fact = say("%s, the maintenance page, must be a text of 1 to %s bytes", str(place), LARGEST)
        raise Failure(fact, code=Exit.USAGE)
    return read


def switch(session: Session, wanted: str) -> None:
    """Turn it `on` or `off`; where it is so already nothing is done."""
    if wanted not in ("on", "off"):
        raise Failure(
            say("maintenance is turned on or off, not %s", wanted), remedy=remedies.ON_OR_OFF, code=Exit.USAGE
        )
    given = page(session.settings) if wanted == "on" else ""
    state = session.read("running")
    settings, report = session.settings, session.report
    refuse(preflight.judge(settings, state, Options(page=given)), steps.ON.NEEDS)
    told = maintenance.told(settings, state)
    if told and not maintenance.is_on(settings, state):
        report.line(say("! maintenance %s", told), "yellow")
    run = new_run_id(state)
    plan = steps.alone(settings, state, given, run)
    if not plan.steps:
        report.line(say("maintenance %s: nothing to do · %s", wanted, told or say("it is off")), "green")
        return
    carry_out(session, plan, state, run)
    name = settings.target.name
    if given:
        report.line(
            say("maintenance is on: users of %s get the page until %s", name, remedies.page_off(name)), "yellow"
        )
    else:
        report.line(say("maintenance is off: users of %s get the app", name), "green")
