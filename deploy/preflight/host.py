"""The host: its tools, Docker, the secrets, room on the disks, and who works on it."""

from collections.abc import Iterator

from deploy import remedies
from deploy.plan import Finding, Options
from deploy.settings import Settings
from deploy.state import State


def tools(_: Settings, state: State, __: Options) -> Iterator[Finding]:
    missing = tuple(name for name, where in state.tools.items() if not where)
    if missing:
        yield Finding("refusal", "tools", f"not installed on the host: {', '.join(missing)}", remedies.INSTALL_TOOLS)
    else:
        yield Finding("ok", "tools", ", ".join(state.tools))


def engine(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    if not state.tools.get("docker"):
        return
    if not state.engine:
        remedy = remedies.start_docker(state.user)
        yield Finding("refusal", "engine", f"Docker does not answer: {state.engine_problem}", remedy)
    else:
        yield Finding("ok", "engine", f"Docker Engine {state.engine}")
    if not state.compose:
        yield Finding(
            "refusal",
            "compose",
            "docker compose is missing (docker-compose v1 is not enough)",
            remedies.INSTALL_COMPOSE,
        )
    elif not state.compose_file:
        yield Finding(
            "refusal",
            "compose",
            f"no {settings.compose.file} in {settings.target.path}",
            remedies.SET_COMPOSE_FILE,
        )
    else:
        yield Finding("ok", "compose", f"Compose {state.compose}, {settings.compose.file}")


def env(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    place = f"{settings.target.path}/{settings.env.file}"
    match state.env:
        case "missing" | "":
            yield Finding("refusal", "env", f"{place} is missing", remedies.BRING_SECRETS)
        case "unreadable":
            yield Finding("refusal", "env", f"{state.user} cannot read {place}", remedies.let_read(state.user, place))
        case _ if state.env_empty:
            evidence = f"{place} has no value for {', '.join(state.env_empty)}"
            yield Finding("refusal", "env", evidence, remedies.FILL_SECRETS)
        case _:
            yield Finding("ok", "env", f"{place}: every required key has a value")


def disk(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    floor = settings.preflight.min_free_mib
    places = (
        (f"{settings.target.path} on the host", state.free_mib),
        (f"{settings.app.path} in the container", state.app.free_mib if state.app else None),
    )
    for place, free in places:
        if free is None:
            continue
        if free < floor:
            yield Finding(
                "refusal",
                "disk",
                f"{free} MiB free for {place}, {floor} needed",
                remedies.FREE_SPACE,
            )
        else:
            yield Finding("ok", "disk", f"{free} MiB free for {place}")
    for folder in state.app.readonly if state.app else ():
        yield Finding("refusal", "disk", f"{folder} in the container is read-only", remedies.WRITABLE)


def lock(settings: Settings, state: State, __: Options) -> Iterator[Finding]:
    verb, operator, run = (state.holder.get(name) or "?" for name in ("verb", "operator", "run"))
    holder = f"{verb} by {operator}, run {run}"
    if state.lock_held:
        yield Finding("warning", "lock", f"held by {holder}", remedies.follow_run(settings.target.name))
    elif state.holder:
        yield Finding("warning", "lock", f"left by {holder}, which is gone", remedies.TAKEN_OVER)


def records(_: Settings, state: State, __: Options) -> Iterator[Finding]:
    for problem in state.damaged:
        yield Finding("warning", "records", problem, remedies.PASSED_OVER)
