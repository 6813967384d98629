"""What a settings file says against what is found: each difference, as drift or only as something to look at."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pydantic import TypeAdapter

from deploy.discovery.deciding import decide
from deploy.discovery.facts import Facts
from deploy.discovery.found import Found
from deploy.discovery.releasing import covers
from deploy.message import Told, Value, say
from deploy.settings import Settings

# What is equal or has drifted.
FACTS = (
    *("git.branch", "git.remote", "compose.file", "env.file", "app.service", "app.image", "app.path", "app.python"),
    *("app.flask", "app.server", "database.kind", "database.service", "database.user", "database.name", "database.url"),
    *("env", "redis", "redis.service", "proof.command", "migrate.directory"),
)
# Sections that may be none.
NONE = ("env", "redis")
_PLAIN = TypeAdapter(Settings)


@dataclass(frozen=True)
class Drift:
    """Where file and host differ; not `certain`: what was found is likely, or it may be meant so."""

    key: str
    told: Told
    certain: bool = True


def drift(settings: Settings, facts: Facts) -> tuple[Drift, ...]:
    """Compare every setting that the facts tell of."""
    plain = _PLAIN.dump_python(settings, mode="json")
    services = {one.service for one in facts.containers}
    known = {"app.service": settings.app.service} if settings.app.service in services else {}
    found = (one for one in decide(facts, known) if one.sure != "given")
    told = tuple(one for what in found for one in _differences(facts, what, _value(plain, what.key)))
    # Where nothing runs, what is missing may come back with it.
    looked = any(one.inside for one in facts.containers if one.service == settings.app.service) or not known
    return told if looked else tuple(replace(one, certain=False) for one in told)


def _value(plain: Mapping[str, Any], key: str) -> Any:
    value: Any = plain
    for part in key.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return "none" if key in NONE and value is None else value


def _differences(facts: Facts, found: Found, value: Any) -> Iterator[Drift]:
    key, certain = found.key, found.sure == "sure"
    if found.sure == "unknown":
        # Without a service nothing else can be compared.
        yield Drift(key, say("cannot be compared: %s", found.why), key == "app.service")
    elif key in FACTS and found.value != value:
        yield Drift(key, say("%s, but found is %s: %s", _shown(value), _shown(found.value), found.why), certain)
    elif key.endswith(".container") and value and value not in {one.name for one in facts.containers}:
        yield Drift(key, say("there is no container %s here", value))
    elif key == "also":
        services = {one["service"] or name for name, one in value.items()}
        yield from _sets(key, services, set(found.value), certain)
    elif key == "compose.needs":
        yield from _sets(key, set(value), set(found.value), certain)
    elif key == "env.required":
        yield from _sets(key, set(value), set(value) & set(facts.env_keys), certain=True)
    elif key == "copy.protected":
        yield from _sets(key, set(), set(found.value) - set(value), certain=False)
    elif key == "preflight.unsuitable":
        left = {one for one in found.value if one not in value and not any(covers(pattern, one) for pattern in value)}
        yield from _sets(key, set(), {one for one in left if one in facts.tracked}, certain)
    elif key == "health.checks":
        answered = {one.url for one in facts.answers}
        for check in value:
            if not check["inside"] and check["url"].replace("127.0.0.1", "localhost") not in answered:
                yield Drift(key, say("%s is asked at %s, which no published port is", check["name"], check["url"]))


def _sets(key: str, said: set[str], found: set[str], certain: bool) -> Iterator[Drift]:
    if gone := tuple(sorted(said - found)):
        yield Drift(key, say("names what is not there: %s", gone))
    if new := tuple(sorted(found - said)):
        yield Drift(key, say("lacks %s", new), certain)


def _shown(value: Any) -> Value:
    if isinstance(value, Mapping):
        return say("a section of its own")
    return value if value not in ("", None) else say("nothing")
