"""The maintenance page: what Nginx is told so that it stands before the app, whether it can, and how that is."""

import re
from html import escape
from importlib.resources import files
from urllib.parse import unquote

from deploy import backups, elsewhere, instances
from deploy.instances import Instance
from deploy.message import Message, Told, say
from deploy.settings import Settings
from deploy.state import Maintained, State, kept

# Where Nginx finds the page in its folder. No site has such a path.
PAGE = "/hot-update-maintenance.html"


def page(settings: Settings) -> str:
    """Make the page of the words in the settings."""
    return _filled(
        "page.html", text="".join(f"<p>{escape(line)}</p>\n" for line in settings.maintenance.text.splitlines())
    )


def configuration(settings: Settings) -> dict[str, str]:
    """Give what Nginx reads before the site, who gets the app, and within each of its servers, what the others get."""
    wanted = settings.maintenance
    through = [path for check in settings.health.checks for path in check.paths]
    paths = dict.fromkeys(map(_pattern, (PAGE, *through, *wanted.paths)))
    return {
        "http.conf": _filled(
            "http.conf",
            paths="".join(f'    {path} "";\n' for path in paths),
            addresses="".join(f"    {address} 1;\n" for address in wanted.addresses),
        ),
        "server.conf": _filled(
            "server.conf",
            page=PAGE,
            folder=_quoted(f"{settings.app.record}/maintenance"),
            retry_after=str(wanted.retry_after),
        ),
    }


def _filled(name: str, **values: str) -> str:
    """Fill in the values for @their names@."""
    return re.sub(
        "@([a-z_]+)@", lambda found: values[found[1]], files("deploy").joinpath("nginx", name).read_text("utf-8")
    )


def _pattern(path: str) -> str:
    """Match a path as Nginx has it, decoded and without what was asked; one that ends with * also what begins so."""
    plain = unquote(path.partition("?")[0])
    if not plain.endswith("*"):
        return _quoted(plain)
    return _quoted(
        "~^" + "".join(letter if letter.isalnum() or letter in "/_" else f"[{letter}]" for letter in plain[:-1])
    )


def _quoted(word: str) -> str:
    return '"{}"'.format(word.replace("\\", "\\\\").replace('"', '\\"'))


def is_asked(state: State) -> bool:
    """Is it a container that users ask: the app's own, or a replica of it?"""
    return state.first or state.replica


def before(settings: Settings, state: State) -> tuple[Instance, ...]:
    """Give the containers that users ask."""
    return tuple(one for one in instances.each(settings, state) if is_asked(one.state))


def shows(state: State) -> bool:
    """Does a container show the page?"""
    return state.app is not None and state.app.page is not None and state.app.page.on


def obstacle(settings: Settings, state: State) -> Message | None:
    """Say why the page cannot be put before the app; nothing where it can."""
    name = settings.maintenance.site
    if name not in elsewhere.installed(settings):
        return say("the settings know of no Nginx in the app's container: files has no %s", name)
    for one in before(settings, state):
        app, container = one.state.app, one.settings.app.container
        if app is None:
            continue
        if app.page is None:
            places = tuple(place.path for place in settings.files[name].places)
            return say("%s has no Nginx site at %s", container, places)
        for place in filter(None, (app.page.place, app.page.template)):
            if source := elsewhere.mounted_from(one.state, place):
                return say("%s is mounted into %s from %s", place, container, source)
    return None


def is_on(settings: Settings, state: State) -> bool:
    return any(shows(one.state) for one in before(settings, state))


def told(settings: Settings, state: State) -> Message | None:
    """Say that users get the page, and since when; or that it is gone, though nobody took it away."""
    on = tuple(one.settings.app.container for one in before(settings, state) if shows(one.state))
    if not on:
        return _gone(settings, state)
    known = next((one for one in state.maintained if one.container in on), None)
    if known is None:
        return say("on: users get a page (503)")
    return say("on, users get a page (503): put there %s", _when(state, known))


def facts(settings: Settings, state: State) -> dict[str, object] | None:
    """Give it as JSON has it; `since` is in seconds since the epoch."""
    if told(settings, state) is None:
        return None
    known = state.maintained[0] if state.maintained else None
    since, run = (known.since, known.run) if known else (None, None)
    return {"on": is_on(settings, state), "since": since, "run": run}


def _gone(settings: Settings, state: State) -> Message | None:
    here = {one.settings.app.container: one.state for one in before(settings, state)}
    for known in state.maintained:
        name, now = known.container, here.get(known.container)
        if now is None or now.app is None or "app" not in now.containers:
            continue
        if now.containers["app"].id != known.id:
            return say("gone, since %s was recreated: put there %s", name, _when(state, known))
        return say("gone, since the Nginx site in %s was replaced: put there %s", name, _when(state, known))
    return None


def _when(state: State, known: Maintained) -> Told:
    age = backups.age(int(kept.moment(state.clock).timestamp()) - known.since)
    operator = next((run.operator for run in state.history if run.id == known.run), "")
    return say("%s ago by %s", age, operator) if operator else say("%s ago", age)
