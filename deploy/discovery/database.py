"""Which database the app has, and which Redis: what its own URLs say, else what the containers are."""

from collections.abc import Iterator, Mapping

from deploy.discovery.facts import Container, Facts
from deploy.discovery.found import Found, Sure, container
from deploy.message import Told, say

# By the beginning of an image's name.
IMAGES = {"postgres": "postgres", "postgis": "postgres", "timescale": "postgres", "mysql": "mysql", "mariadb": "mysql"}
REDIS = ("redis", "valkey", "keydb")
# The programs that dump them.
DUMPERS = {"postgres": ("pg_dump",), "mysql": ("mariadb-dump", "mysqldump")}
# The variables of their images that tell the owner and the name, the likeliest first, and the owner by default.
USERS = {"postgres": ("POSTGRES_USER",), "mysql": ("MYSQL_USER", "MARIADB_USER")}
NAMES = {"postgres": ("POSTGRES_DB", "POSTGRES_USER"), "mysql": ("MYSQL_DATABASE", "MARIADB_DATABASE")}
OWNERS = {"postgres": "postgres", "mysql": "root"}


def find(facts: Facts, app: Container) -> Iterator[Found]:
    """Find the app's database."""
    url, variable = _url(app)
    services = _services(facts)
    if url.get("kind") == "sqlite":
        yield from _sqlite(url, variable)
    elif url.get("host") in services:
        yield from _served(*services[url["host"]], url["name"], say("the app's database URL names it"), "sure")
    elif url:
        yield Found("database.kind", IMAGES[url["kind"]], say("the app's database URL says so"))
        why = say("the variable with the URL, since no service here is the database at %s", url["host"])
        yield Found("database.url", variable or None, why, "sure" if variable else "unknown")
        yield Found("database.name", url["name"], say("the app's database URL names it"))
        yield _client(facts, url["host"], IMAGES[url["kind"]])
    elif len(services) == 1:
        (only,) = services.values()
        yield from _served(*only, "", say("no other service is a database"), "likely")
    elif services:
        yield Found("database.service", None, say("there are several databases: %s", tuple(services)), "unknown")
    else:
        asked = say("the app has no SQLALCHEMY_DATABASE_URI, and no service is a database")
        yield Found("database.kind", "none", asked, "sure" if "rules" in app.inside else "likely")


def _url(app: Container) -> tuple[Mapping[str, str], str]:
    """What the app's URL says of its database, and the variable that has it; what the app itself told goes first."""
    if app.inside.get("database"):
        return app.inside["database"], app.inside.get("variable", "")
    urls = {name: url for name, url in app.inside.get("urls", {}).items() if url["kind"] != "redis"}
    name = min(urls, key=lambda name: (name not in ("DATABASE_URL", "SQLALCHEMY_DATABASE_URI"), name), default="")
    return urls.get(name, {}), name


def _client(facts: Facts, host: str, kind: str) -> Found:
    """Find where a database is dumped that is no service here: in its own container, or on the host."""
    if host in facts.neighbours:
        why = say("the container that the app reaches as %s", host)
        return Found("backup.client", facts.neighbours[host], why)
    if any(name in facts.dumpers for name in DUMPERS[kind]):
        return Found("backup.client", "host", say("the host has %s", facts.dumpers), "likely")
    why = say("neither the host nor a container that is known has %s: migrations need --no-backup", DUMPERS[kind])
    return Found("backup.client", "", why, "likely")


def _sqlite(url: Mapping[str, str], variable: str) -> Iterator[Found]:
    file, why = url["name"], say("the app's database URL says so")
    if not file.startswith("/"):
        yield Found("database.kind", "none", say("the app's database lies in memory only"))
        return
    yield Found("database.kind", "sqlite", why)
    yield Found("database.name", file, why)
    if variable:
        yield Found("database.url", variable, say("the variable of the app's container that has that URL"))


def _served(one: Container, kind: str, name: str, why: Told, sure: Sure) -> Iterator[Found]:
    yield Found("database.kind", kind, why, sure)
    yield Found("database.service", one.service, why, sure)
    yield container("database.container", one)
    told = one.environment
    user = next(filter(None, map(told.get, USERS[kind])), OWNERS[kind])
    yield Found("database.user", user, say("its container's environment names the owner"))
    if name:
        yield Found("database.name", name, why, sure)
    else:
        name = next(filter(None, map(told.get, NAMES[kind])), OWNERS[kind])
        yield Found("database.name", name, say("its container's environment names it"), "likely")


def _services(facts: Facts) -> dict[str, tuple[Container, str]]:
    """The services that are databases, with their kinds: by their images, or where none is usual, by variables."""
    found = {}
    for one in facts.containers:
        image = one.image.rpartition("/")[2]
        if kind := next((kind for word, kind in IMAGES.items() if image.startswith(word)), ""):
            found[one.service] = (one, kind)
    if found:
        return found
    # What runs the code may have them too, by a common env file.
    others = [one for one in facts.containers if not one.inside.get("share")]
    return {
        one.service: (one, kind)
        for one in others
        for kind, keys in NAMES.items()
        if any(key in one.environment for key in keys)
    }


def find_redis(facts: Facts, app: Container) -> Iterator[Found]:
    """Find the app's Redis."""
    hosts = {url["host"] for url in app.inside.get("urls", {}).values() if url["kind"] == "redis"}
    named = [one for one in facts.containers if one.service in hosts]
    images = [one for one in facts.containers if one.image.rpartition("/")[2].startswith(REDIS)]
    one = next(iter(named or images), None)
    if one is None:
        yield Found("redis", "none", say("no service of this deployment is Redis"))
        return
    why = say("the app's URL of Redis names it") if named else say("its image is Redis")
    yield Found("redis.service", one.service, why, "sure" if named else "likely")
    yield container("redis.container", one)
