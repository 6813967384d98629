"""The host: its tools, Docker, the secrets, room on the disks, and who works on it."""

from collections.abc import Iterator

from deploy import remedies
from deploy.message import say
from deploy.plan import Finding, Options
from deploy.settings import Settings
from deploy.state import State


def tools(_: Settings, state: State, __: Options) -> Iterator[Finding]:
    missing = tuple(name for name, where in state.tools.items() if not where)
    if missing:
        yield Finding("refusal", "tools", say("not installed on the host: %s", missing), remedies.INSTALL_TOOLS)
    else:
        yield Finding("ok", "tools", say("%s", tuple(state.tools)))


def engine(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    if not state.tools.get("docker"):
        return
    if not state.engine:
        remedy = remedies.start_docker(state.user)
        yield Finding("refusal", "engine", say("Docker does not answer: %s", state.engine_problem), remedy)
    else:
        yield Finding("ok", "engine", say("Docker Engine %s", state.engine))
    if not state.compose:
        yield Finding(
            "refusal",
            "compose",
            say("docker compose is missing (docker-compose v1 is not enough)"),
            remedies.INSTALL_COMPOSE,
        )
    elif not state.compose_file:
        yield Finding(
            "refusal",
            "compose",
            say("no %s in %s", settings.compose.file, settings.target.path),
            remedies.SET_COMPOSE_FILE,
        )
    else:
        yield Finding("ok", "compose", say("Compose %s, %s", state.compose, settings.compose.file))


def env(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    if settings.env is None:
        yield Finding("ok", "env", say("there is none, by the settings"))
        return
    place = f"{settings.target.path}/{settings.env.file}"
    match state.env:
        case "missing" | "":
            yield Finding("refusal", "env", say("%s is missing", place), remedies.BRING_SECRETS)
        case "unreadable":
            yield Finding(
                "refusal", "env", say("%s cannot read %s", state.user, place), remedies.let_read(state.user, place)
            )
        case _ if state.env_empty:
            evidence = say("%s has no value for %s", place, state.env_empty)
            yield Finding("refusal", "env", evidence, remedies.FILL_SECRETS)
        case _:
            yield Finding("ok", "env", say("%s: every required key has a value", place))


def disk(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    floor = settings.preflight.min_free_mib
    places = (
        (say("%s on the host", settings.target.path), state.free_mib),
        (say("%s in the container", settings.app.path), state.app.free_mib if state.app else None),
    )
    for place, free in places:
        if free is None:
            continue
        if free < floor:
            yield Finding(
                "refusal",
                "disk",
                say("%s MiB free for %s, %s needed", free, place, floor),
                remedies.FREE_SPACE,
            )
        else:
            yield Finding("ok", "disk", say("%s MiB free for %s", free, place))
    for folder in state.app.readonly if state.app else ():
        if folder in state.clone_at:
            continue
        yield Finding("refusal", "disk", say("%s in the container is read-only", folder), remedies.WRITABLE)


def lock(settings: Settings, state: State, __: Options) -> Iterator[Finding]:
    verb, operator, run = (state.holder.get(name) or "?" for name in ("verb", "operator", "run"))
    holder = say("%s by %s, run %s", verb, operator, run)
    if state.lock_held:
        yield Finding("warning", "lock", say("held by %s", holder), remedies.follow_run(settings.target.name))
    elif state.holder:
        yield Finding("warning", "lock", say("left by %s, which is gone", holder), remedies.TAKEN_OVER)


def records(_: Settings, state: State, __: Options) -> Iterator[Finding]:
    for problem in state.damaged:
        yield Finding("warning", "records", problem, remedies.PASSED_OVER)
