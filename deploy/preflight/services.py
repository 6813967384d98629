"""The services: their containers, the look into the app's, and how the app answers."""

from collections.abc import Iterator

from deploy import causes, compose, remedies
from deploy.message import Message, say
from deploy.plan import Finding, Options
from deploy.settings import Settings
from deploy.state import State
from deploy.words import names


def containers(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    if not state.engine:
        return
    for check, role, service, container in _wanted(settings):
        found = state.containers.get(role)
        if found is None:
            up = compose.up(settings, state, service)
            remedy = remedies.start_service(up) if check == "services" else remedies.make_container(up, role)
            lacks = say("no container %s", container)
            if not container:
                lacks = say("Compose made no container of the service %s in %s", service, settings.target.path)
            yield Finding("refusal", check, lacks, remedy)
        elif found.service != service:
            other = found.service or say("none")
            evidence = say("%s is not of the compose service %s but of %s", found.name, service, other)
            yield Finding("refusal", check, evidence, remedies.set_service(role))
        elif role == "app" and found.status == "restarting" and state.app_problem:
            evidence = say("%s ends again and again: %s", found.name, state.app_problem)
            yield Finding(
                "refusal", check, evidence, remedies.mend_loop(found.name, settings.target.name, settings.target.sudo)
            )
        elif not found.running:
            remedy = remedies.start_container(found.status, found.name, settings.target.sudo)
            yield Finding("refusal", check, say("%s is %s", found.name, found.status), remedy)
        else:
            yield Finding("ok", check, say("%s is running", found.name))


def _wanted(settings: Settings) -> Iterator[tuple[str, str, str, str]]:
    """Tell of each container that has to be there: its check, its role in the state, its service and its name."""
    app, database, redis = settings.app, settings.database, settings.redis
    yield "app container", "app", app.service, app.container
    if database.in_service:
        yield "database", "database", database.service, database.container
    if redis:
        yield "redis", "redis", redis.service, redis.container
    for service in settings.compose.needs:
        yield "services", f"service {service}", service, ""


def others(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    """Every container that runs the code is updated: what cannot be would go on with what it has."""
    check = "app container"
    if up := state.replicas_left:
        evidence = say("the service %s has %s too, which cannot be updated as it is", settings.app.service, names(up))
        yield Finding("refusal", check, evidence, remedies.stop_containers(settings.target.sudo, *up))
    for other in state.others:
        found = other.state.containers.get("app")
        if found is None:
            yield Finding("refusal", check, say("no container %s", other.name), remedies.set_also(other.also))
        elif not found.running:
            remedy = remedies.start_container(found.status, other.name, settings.target.sudo)
            yield Finding("refusal", check, say("%s is %s", other.name, found.status), remedy)
    there = {other.also for other in state.others}
    for name, also in settings.also.items():
        if name not in there:
            service = also.service or name
            lacks = say("Compose made no container of the service %s in %s", service, settings.target.path)
            yield Finding("warning", check, lacks, remedies.set_also(name))
    for name, service in state.unlisted.items():
        evidence = say("%s, of the service %s, has the image of the app and goes on with the old code", name, service)
        yield Finding("warning", check, evidence, remedies.set_also(service))


def elsewhere(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    """It may be another project's container that is meant."""
    app, check = state.containers.get("app"), "app container"
    if app is None or app.service != settings.app.service:
        return
    if app.folder in ("", settings.target.path):
        return
    evidence = say("%s was made by the Compose project %s in %s", settings.app.container, app.project, app.folder)
    if here := tuple(one.name for one in state.siblings if one.folder == settings.target.path):
        evidence = say("%s, and that of %s made %s", evidence, settings.target.path, names(here))
        yield Finding("refusal", check, evidence, remedies.SET_CONTAINER)
    else:
        yield Finding("warning", check, say("%s, not in %s", evidence, settings.target.path), remedies.CHECK_CONTAINER)


def app_container(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    container = state.containers.get("app")
    if state.app_problem and (container is None or container.running):
        yield Finding(
            "refusal",
            "app container",
            say("cannot look into %s: %s", settings.app.container, state.app_problem),
            remedies.LOOK_INSIDE,
        )
    if state.app is None:
        return
    for problem in state.app.problems:
        yield Finding("warning", "app container", problem)


def capabilities(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    """Root without them can neither give files to the code's owner nor signal the workers."""
    app = state.app
    if app and app.lacks and not app.owner.startswith("0:"):
        evidence = say("%s is without the capabilities %s", settings.app.container, names(app.lacks))
        yield Finding("warning", "app container", evidence, remedies.ADD_CAPABILITIES)


def memory(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    """The proof and a rolling restart need what one more worker takes."""
    if evidence := cramped(settings, state):
        yield Finding("warning", "memory", evidence, remedies.RAISE_MEMORY)
    elif state.memory and state.memory.limit and state.memory.room is not None:
        yield Finding("ok", "memory", say("%s of %s MiB are left", state.memory.room, state.memory.limit))


def cramped(settings: Settings, state: State) -> Message | None:
    """Say why there is no room for one more worker in the app's container; nothing where there is, or nobody knows."""
    memory, app = state.memory, state.app
    if memory is None or memory.limit is None or memory.room is None or app is None or memory.room >= app.worker_mib:
        return None
    told = settings.app.container, memory.room, memory.limit, app.worker_mib
    return say("%s has %s of %s MiB left, and a worker takes %s MiB", *told)


def mounts(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    """What is mounted cannot be replaced, and what lies in a mounted folder is not the container's own."""
    if state.app is None or "app" not in state.containers:
        return
    for mount, touched in state.app.mounted.items():
        place = f"{settings.app.path}/{mount}"
        source = state.containers["app"].mounts.get(place) or say("elsewhere")
        evidence = say("%s is mounted from %s, and the release changes %s", place, source, names(touched))
        yield Finding("refusal", "mounts", evidence, remedies.leave_to_mount(mount))


def health(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    app = state.containers.get("app")
    if app is None or not app.running or not (state.first or state.replica):
        return
    for check in settings.health.checks:
        probes = state.probes.get(check.name, ())
        # A replica is asked by itself what is asked from within.
        if not probes or not (state.first or check.inside):
            continue
        last, asked = probes[-1], tuple(probe.url for probe in probes)
        if last.status == 404 and not app_answers(settings, state):
            # What stands before the app has no page to say that with.
            evidence = say("404 at %s, and the app itself does not answer", asked)
            yield Finding("warning", "health", evidence, remedies.MAY_BE_CURED)
        elif last.status == 404:
            evidence = say("404 at %s", asked)
            yield Finding("refusal", "health", evidence, remedies.set_paths(check.name))
        elif 200 <= last.status < 300:
            yield Finding("ok", "health", say("%s answers %s", last.url, last.status))
        else:
            answer = say("%s answers %s", last.url, last.status) if last.status else say("%s does not answer", last.url)
            why = last_error(settings, state) if state.first else ""
            evidence = say("%s: %s", answer, why) if why else answer
            yield Finding("warning", "health", evidence, remedies.MAY_BE_CURED)


def app_answers(settings: Settings, state: State) -> bool:
    """Does the app itself answer, whatever it says?"""
    return any(probe.status for probe in state.probes.get(settings.restart.check, ()))


def last_error(settings: Settings, state: State) -> str:
    """Why the app is ill, by its logs: what the newest start that tells it complained of, else nothing."""
    logs: dict[str, list[str]] = {}
    for log, line in state.logs:
        logs.setdefault(log, []).append(line)
    newest = next(iter(logs), "")
    answering = app_answers(settings, state)
    complaints = []
    for log, lines in logs.items():
        # What an older log ends with may be long over.
        if log == newest or "error" in log:
            starts = causes.starts(lines, f"Starting {settings.app.server}")
            # Once a start has succeeded, what came before it is over; until then the newest may have yet to fail.
            complaints += [causes.complaint(start) for start in (starts[-1:] if answering else reversed(starts))]
    found = [complaint for complaint in complaints if complaint.line]
    return next((complaint.line for complaint in found if complaint.is_cause), found[0].line if found else "")
