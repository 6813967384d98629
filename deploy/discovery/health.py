"""Health checks from how the published ports answered at the paths that look like some."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

from pydantic import TypeAdapter

from deploy.discovery.facts import SERVERS, Answer, Container, Facts
from deploy.discovery.found import Found
from deploy.message import Told, say
from deploy.settings import Check, Sections

# What an answer calls itself by when all is well.
WELL = {"ok", "healthy", "up", "connected", "pass", "passed", "alive", "ready", "available", "operational"}
WELL_KEYS = {"healthy", "ok", "alive", "ready"}
# Who says to have answered, where that is the app server itself.
DIRECT = {*SERVERS, "werkzeug", "waitress", "hypercorn"}

_PLAIN = TypeAdapter(tuple[Check, ...])


def find(facts: Facts, app: Container) -> Found:
    """Find the health checks."""
    found = _checks(facts, app)
    if not found:
        return _inside(facts, app)
    if len([one for one in facts.containers if one.service == app.service and one.running]) > 1:
        within = _within(app)
        why = say(
            "asked through each published port, and from within, since who stands before replicas hides an ill one"
        )
        return Found("health.checks", [*found, *within], why)
    if "rules" in app.inside:
        why = say("asked: the routes of the app that look like health checks, through each published port")
        return Found("health.checks", found, why)
    why = say("usual paths were asked, since the app did not tell its routes: %s", app.inside.get("unasked", "?"))
    return Found("health.checks", found, why, "likely")


def _inside(facts: Facts, app: Container) -> Found:
    """Find what answers within the app's container, where no published port does."""
    found = _within(app)
    if not found:
        asked = tuple(Answer(**told) for told in app.inside.get("answers", ()))
        return Found("health.checks", None, _why_none(app, (*facts.answers, *asked)), "unknown")
    return Found("health.checks", found, say("asked from within %s, since no published port answers well", app.name))


def _within(app: Container) -> list[dict[str, Any]]:
    """Make a check of what answers best within the app's container, if anything does."""
    answers = _well_first(Answer(**told) for told in app.inside.get("answers", ()))
    made = [
        {"name": "direct", "url": one.url, "paths": [one.path], "expect": expected(one), "inside": True}
        for one in answers[:1]
    ]
    return [{key: value for key, value in one.items() if value} for one in made]


def _checks(facts: Facts, app: Container) -> list[dict[str, Any]]:
    """Make a check of each port that answers well, the app's own last."""
    urls = dict.fromkeys(answer.url for answer in facts.answers)
    made = [check for url in urls if (check := _check(facts, app, url))]
    # Where one tells how things are, a page that is there for every path is no check.
    made = [check for check in made if check.expect] or made
    plain_text = {check.name for check in made if check.url.startswith("http:")}
    made = [check for check in made if check.url.startswith("http:") or check.name not in plain_text]
    made.sort(key=lambda check: check.name == "direct")
    named: dict[str, Check] = {}
    for check in made:
        name = check.name if check.name not in named else f"{check.name}-{check.url.rpartition(':')[2].strip('/')}"
        named[name] = Check(name, check.url, check.paths, check.expect)
    plain: list[dict[str, Any]] = _PLAIN.dump_python(tuple(named.values()), mode="json")
    # As a person would write it, unless all is as by default.
    if plain == _PLAIN.dump_python(Sections().health.checks, mode="json"):
        return plain
    return [{key: value for key, value in one.items() if value or key == "paths"} for one in plain]


def _why_none(app: Container, answers: Sequence[Answer]) -> Told:
    """Say why there is no check."""
    if unasked := app.inside.get("unasked"):
        return say("usual paths do not answer well, and the app did not tell its routes: %s", unasked)
    if not answers:
        return say("neither a published port nor the app server answers")
    told = tuple(say("%s%s: %s", one.url, one.path, one.status) for one in answers[:5])
    return say("no path that was asked answers well: %s", told)


def _check(facts: Facts, app: Container, url: str) -> Check | None:
    well = _well_first(one for one in facts.answers if one.url == url)
    if not well:
        return None
    name = _name(facts, app, well[0])
    for usual in Sections().health.checks:
        kept = [one for one in well if one.path in usual.paths and usual.expect.items() <= expected(one).items()]
        if usual.name == name and kept:
            return Check(name, url, usual.paths, usual.expect)
    return Check(name, url, (well[0].path,), expected(well[0]))


def _well_first(answers: Iterable[Answer]) -> list[Answer]:
    """Of those that are well first who tells most, then the shortest."""
    well = (one for one in answers if 200 <= one.status < 300)
    return sorted(well, key=lambda one: (one.path == "/", -len(expected(one)), len(one.path), one.path))


def _name(facts: Facts, app: Container, answer: Answer) -> str:
    if answer.server and answer.server not in DIRECT:
        return answer.server
    parts = urlsplit(answer.url)
    port = str(parts.port or {"http": 80, "https": 443}[parts.scheme])
    service = next((one.service for one in facts.containers for told in one.ports if told.split()[-1] == port), "")
    return "direct" if answer.server or service in ("", app.service) else service


def expected(answer: Answer) -> dict[str, str | bool | int]:
    """What an answer in JSON calls well, by dotted path."""
    try:
        return dict(_well(json.loads(answer.body), ""))
    except ValueError:
        return {}


def _well(value: Any, path: str) -> Iterator[tuple[str, str | bool]]:
    match value:
        case Mapping():
            for key, below in value.items():
                if isinstance(key, str) and key.strip() and not key.startswith("-") and "." not in key:
                    yield from _well(below, f"{path}.{key}" if path else key)
        case str() if value.lower() in WELL:
            yield path, value
        case True if path.rpartition(".")[2] in WELL_KEYS:
            yield path, True
