"""The services: their containers, the look into the app's, and how the app answers."""

from collections.abc import Iterator

from deploy import causes, compose, remedies
from deploy.plan import Finding, Options
from deploy.settings import Settings
from deploy.state import State
from deploy.words import names


def containers(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    if not state.engine:
        return
    wanted = (("app", settings.app), ("postgres", settings.postgres), ("redis", settings.redis))
    for role, service in wanted:
        check = f"{role} container" if role == "app" else role
        found = state.containers.get(role)
        if found is None:
            up = compose.up(settings, state, service.service)
            remedy = remedies.make_container(up, role)
            yield Finding("refusal", check, f"no container {service.container}", remedy)
        elif found.service != service.service:
            evidence = (
                f"{service.container} is not of the compose service {service.service} but of {found.service or 'none'}"
            )
            yield Finding("refusal", check, evidence, remedies.set_service(role))
        elif not found.running:
            remedy = remedies.start_container(found.status, service.container, settings.target.sudo)
            yield Finding("refusal", check, f"{service.container} is {found.status}", remedy)
        else:
            yield Finding("ok", check, f"{service.container} is running")


def replicas(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    """One container is updated: others of its service would go on with what they have."""
    app, check = state.containers.get("app"), "app container"
    if app is None or app.service != settings.app.service:
        return
    if up := state.replicas_up:
        evidence = f"besides {settings.app.container} the service {app.service} has {names(up)}, and one is updated"
        yield Finding("refusal", check, evidence, remedies.stop_containers(settings.target.sudo, *up))
    if app.folder in ("", settings.target.path):
        return
    evidence = f"{settings.app.container} was made by the Compose project {app.project} in {app.folder}"
    if here := tuple(one.name for one in state.siblings if one.folder == settings.target.path):
        evidence = f"{evidence}, and that of {settings.target.path} made {names(here)}"
        yield Finding("refusal", check, evidence, remedies.SET_CONTAINER)
    else:
        yield Finding("warning", check, f"{evidence}, not in {settings.target.path}", remedies.CHECK_CONTAINER)


def app_container(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    if state.app_problem:
        yield Finding(
            "refusal",
            "app container",
            f"cannot look into {settings.app.container}: {state.app_problem}",
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
        evidence = f"{settings.app.container} is without the capabilities {names(app.lacks)}"
        yield Finding("warning", "app container", evidence, remedies.ADD_CAPABILITIES)


def memory(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    """The proof and a rolling restart need what one more worker takes."""
    if cramped(state):
        evidence = f"{settings.app.container} {cramped(state)}"
        yield Finding("warning", "memory", evidence, remedies.RAISE_MEMORY)
    elif state.memory and state.memory.limit:
        yield Finding("ok", "memory", f"{state.memory.room} of {state.memory.limit} MiB are left")


def cramped(state: State) -> str:
    """Say why there is no room for one more worker in the app's container; nothing where there is, or nobody knows."""
    room = state.memory.room if state.memory else None
    if state.memory is None or room is None or state.app is None or room >= state.app.worker_mib:
        return ""
    return f"has {room} of {state.memory.limit} MiB left, and a worker takes {state.app.worker_mib} MiB"


def mounts(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    """What is mounted cannot be replaced, and what lies in a mounted folder is not the container's own."""
    if state.app is None or "app" not in state.containers:
        return
    for mount, touched in state.app.mounted.items():
        place = f"{settings.app.path}/{mount}"
        source = state.containers["app"].mounts.get(place, "elsewhere")
        evidence = f"{place} is mounted from {source}, and the release changes {names(touched)}"
        yield Finding("refusal", "mounts", evidence, remedies.leave_to_mount(mount))


def health(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    app = state.containers.get("app")
    if app is None or not app.running:
        return
    for check in settings.health.checks:
        probes = state.probes.get(check.name, ())
        if not probes:
            continue
        last = probes[-1]
        if last.status == 404 and not app_answers(settings, state):
            # What stands before the app has no page to say that with.
            evidence = f"404 at {', '.join(probe.url for probe in probes)}, and the app itself does not answer"
            yield Finding("warning", "health", evidence, remedies.MAY_BE_CURED)
        elif last.status == 404:
            evidence = f"404 at {', '.join(probe.url for probe in probes)}"
            yield Finding("refusal", "health", evidence, remedies.set_paths(check.name))
        elif 200 <= last.status < 300:
            yield Finding("ok", "health", f"{last.url} answers {last.status}")
        else:
            answer = f"answers {last.status}" if last.status else "does not answer"
            why = last_error(settings, state)
            evidence = f"{last.url} {answer}" + (f": {why}" if why else "")
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
