"""Put the maintenance page before the app while a run interrupts it, and take it away once the release is healthy.

Each undoes the other, so that users get the page while a failing run is undone, and the app again after that.
"""

import json
from dataclasses import dataclass

from deploy import maintenance, shell
from deploy.message import Message, Printed, say
from deploy.plan import ASKED_FOR, Options, Plan, Step
from deploy.settings import Settings
from deploy.state import State, TargetIs, inside_settings, variables
from deploy.steps import restart

TIMEOUT = 120


@dataclass(frozen=True)
class Page:
    """One of the two within an update; what takes it away first has the host prove the release."""

    name: str
    puts: bool
    NEEDS: tuple[str, ...] = ("tools", "engine", "app container", "maintenance")
    TARGET: TargetIs = "running"

    def reason(self, settings: Settings, state: State, options: Options) -> Message | None:
        if not options.page or not maintenance.is_asked(state) or maintenance.shows(state):
            return None
        return say("processes are replaced") if restart.reason(settings, state, options) else None

    def step(self, settings: Settings, state: State, options: Options, run: str, proven: bool) -> Step:
        put, take = (_script(settings, run, options.page), _script(settings, run, ""))
        if self.puts:
            return _step(self.name, settings, state, put, puts=True, undo=take)
        # Once for all containers.
        proves = state.first
        take = _script(settings, run, "", proves=proves)
        return _step(self.name, settings, state, take, puts=False, undo=put, proves=proves)


ON, OFF = Page("maintenance-on", True), Page("maintenance-off", False)


def alone(settings: Settings, state: State, page: str, run: str) -> Plan:
    """Put the page before the app, or take it away where there is none given; no step where it is so already.

    One that fails has left everything as it was.
    """
    module = ON if page else OFF
    marked = {one.container for one in state.maintained}
    steps = tuple(
        _step(one.step(module.name), one.settings, one.state, _script(one.settings, run, page), puts=bool(page))
        for one in maintenance.before(settings, state)
        if (
            not maintenance.shows(one.state)
            if page
            else maintenance.shows(one.state) or one.settings.app.container in marked
        )
    )
    return Plan(module.name, "", steps)


def _step(
    name: str, settings: Settings, state: State, script: str, *, puts: bool, undo: str = "", proves: bool = False
) -> Step:
    place = state.app.page.place if state.app and state.app.page else say("the Nginx site")
    file = settings.files.get(settings.maintenance.site)
    retry_after = settings.maintenance.retry_after
    what = say("%s: users get a page (503, Retry-After %s), health checks the app", place, retry_after)
    summary = (
        *((say("once the host has proven the new release"),) if proves else ()),
        what if puts else say("%s: as before the page", place),
        *map(Printed, filter(None, (file.check, file.apply) if file else ())),
    )
    timeout = TIMEOUT + (settings.health.timeout if proves else 0)
    within = say("processes are replaced") if puts else say("the page is there")
    return Step(name, within if undo else ASKED_FOR, script, timeout, summary, undo=undo)


def _script(settings: Settings, run: str, page: str, *, proves: bool = False) -> str:
    told = inside_settings(settings) | {"run": run, "configuration": maintenance.configuration(settings)}
    return shell.script(
        "containers.sh",
        "steps/maintenance.sh",
        **variables(settings),
        run=run,
        page=page,
        page_settings=json.dumps(told),
        proves=proves,
    )
