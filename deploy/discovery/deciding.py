"""What the settings of a deployment should say, from the facts: each with its reason, and how sure that is.

A default that fits the facts is kept, so that a settings file has only what differs.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from deploy.discovery import database, health, releasing
from deploy.discovery.facts import SERVERS, Container, Facts
from deploy.discovery.found import USUAL, Found, container, some, usual
from deploy.message import Message, say
from deploy.settings import Sections

# Of the tracked Python files so many have to lie in a folder that is the code's.
MOST, SOME = 0.8, 0.3


def decide(facts: Facts, given: Mapping[str, Any]) -> tuple[Found, ...]:
    """Decide every setting that the facts tell of; what is given goes over what is found, and the rest follows it."""
    service = given.get("app.service") or _app_service(facts)
    app = next((one for one in facts.containers if one.service == service), None)
    told = (*_clone(facts), *(_of_app(facts, app, given) if app else (_no_app(facts),)))
    # What is given in one place may stand for several keys below it.
    found = {one.key: one for one in told if not any(one.key.startswith(f"{key}.") for key in given)}
    found |= {key: Found(key, value, say("as given"), "given") for key, value in given.items()}
    sections = list(USUAL)
    return tuple(sorted(found.values(), key=lambda one: sections.index(one.key.split(".")[0])))


def _app_service(facts: Facts) -> str:
    """Which service runs the app: the one where an app server runs the code; nothing where there are several."""
    serving = [one for one in facts.containers if one.inside.get("server")]
    ours = [one for one in serving if one.inside.get("share", 0) >= SOME] or serving
    known = {one.service for one in ours if one.inside["server"] in SERVERS} or {one.service for one in ours}
    return known.pop() if len(known) == 1 else ""


def _no_app(facts: Facts) -> Found:
    servers = tuple(sorted({one.service for one in facts.containers if one.inside.get("server")}))
    none = say("no app server was found in any container")
    return Found("app.service", None, say("app servers run in several: %s", servers) if servers else none, "unknown")


def _clone(facts: Facts) -> Iterator[Found]:
    branch = facts.upstream or facts.branch
    if branch:
        yield Found("git.branch", branch, say("the branch that the clone is on"))
    else:
        yield Found("git.branch", None, say("the clone is on no branch"), "unknown")
    if facts.remote:
        yield Found("git.remote", facts.remote, say("the remote that the clone's branch follows"))
    if facts.env_state == "there":
        only = say("the only file that is called as one and that git does not track")
        usual_one = facts.env == usual("env.file")
        why = say("it lies in the deployment folder") if usual_one else only
        yield Found("env.file", facts.env, why, "sure" if usual_one else "likely")
        yield _required(facts)
    elif facts.env_state == "none":
        why = say("no file there is called as one: the secrets are what the containers were given")
        yield Found("env", "none", why, "likely")
    else:
        yield Found("env.file", None, say("there is no %s that can be read", facts.env), "unknown")


def _required(facts: Facts) -> Found:
    keys, words = facts.env_keys, Sections().secrets.words
    default = usual("env.required")
    if set(default) <= set(keys):
        return Found("env.required", default, say("all of them have a value"))
    secret = [key for key in keys if any(word in key.upper() for word in words)]
    return Found("env.required", secret, say("its keys that look like secrets"), "likely")


def _of_app(facts: Facts, app: Container, given: Mapping[str, Any]) -> Iterator[Found]:
    path = str(given.get("app.path") or app.inside.get("folder", ""))
    yield from _container(app, path)
    beside = (_also(facts, app, path), *database.find(facts, app), *database.find_redis(facts, app))
    yield from (*beside, _needs(facts, app, beside))
    yield from releasing.find(facts, app, path)
    checks = health.find(facts, app)
    yield checks
    if names := [one["name"] for one in checks.value or ()]:
        check = "direct" if "direct" in names else names[0]
        yield Found("restart.check", check, say("the check that comes nearest to the app"))


def _container(app: Container, path: str) -> Iterator[Found]:
    inside, share = app.inside, app.inside.get("share", 0)
    server, python, flask = (str(inside.get(key, "")) for key in ("server", "python", "flask"))
    yield Found("app.service", app.service, say("the app server runs in its container %s", app.name))
    yield container("app.container", app)
    yield Found("app.image", app.image, say("its container was made from it"))
    lie = say("%s %% of the tracked Python files lie there", round(100 * share))
    if share >= SOME:
        yield Found("app.path", path, lie, "sure" if share >= MOST else "likely")
    else:
        yield Found("app.path", None, say("no folder has the tracked Python files"), "unknown")
    yield _known("app.python", python, say("the server runs with it, and it imports Flask"))
    yield _known("app.flask", flask, say("it belongs to that Python"))
    yield _known("app.server", server, say("its processes run in %s", app.name))
    yield _logs(app)
    if app.files and not app.files[0].startswith("/"):
        yield Found("compose.file", app.files[0], say("Compose made the containers from it"))
    else:
        yield Found("compose.file", None, say("the containers do not tell a file in the deployment folder"), "unknown")


def _known(key: str, value: str, why: Message) -> Found:
    return Found(key, value, why) if value else Found(key, None, say("it was not found"), "unknown")


def _logs(app: Container) -> Found:
    default = usual("app.logs")
    if set(default) & set(app.inside.get("there", ())):
        return Found("app.logs", default, say("some of them are there"))
    logs = sorted(app.inside.get("logs", ()), key=lambda name: ("error" not in name, name))
    return some("app.logs", logs, say("its processes have them open"), say("no process has a log file open"), "likely")


def _needs(facts: Facts, app: Container, beside: Iterable[Found]) -> Found:
    """The services that run beside those that have a role."""
    roles = {app.service}
    for one in beside:
        if one.key == "also":
            roles |= set(one.value)
        elif one.key.endswith(".service"):
            roles.add(one.value)
    needs = sorted({one.service for one in facts.containers if one.running and one.service not in roles})
    return some("compose.needs", needs, say("they run beside the app"), say("nothing else runs beside the app"))


def _also(facts: Facts, app: Container, path: str) -> Found:
    """The other services that run the code, by what runs in them."""
    found: dict[str, dict[str, str]] = {}
    same = True
    for one in facts.containers:
        if one.service == app.service or not one.inside.get("programs") or one.inside.get("share", 0) < SOME:
            continue
        own = {"path": one.inside["folder"]} if one.inside["folder"] != path else {}
        found[one.service] = own | ({"container": one.name} if one.folder else {})
        same = same and one.identity == app.identity
    image = say("programs in them run the code, from the app's image")
    other = say("programs in them run the code, though from an image of their own")
    none = say("nothing else runs the code")
    return some("also", found, image if same else other, none, "sure" if same else "likely")
