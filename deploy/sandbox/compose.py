"""The sandbox's containers."""

import json
import time
import urllib.error
import urllib.request

from deploy.errors import Failure
from deploy.message import say
from deploy.sandbox.command import run, tail, works
from deploy.sandbox.home import Sandbox
from deploy.sandbox.shape import SHAPES

UP_SECONDS = 300.0
HEALTHY_SECONDS = 120.0
PROJECT_LABEL = "com.docker.compose.project"
FOLDER_LABEL = "com.docker.compose.project.working_dir"
SERVICE_LABEL = "com.docker.compose.service"
# Health traffic never goes through a proxy.
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def compose(sandbox: Sandbox, *arguments: str) -> str:
    """Run docker compose on the deployment clone's file."""
    options = ("--project-name", sandbox.project, "--file", sandbox.shape.compose_file)
    return run("docker", "compose", *options, *arguments, cwd=sandbox.path, timeout=UP_SECONDS)


def compose_elsewhere(sandbox: Sandbox, *arguments: str) -> str:
    """Run docker compose on the file of the database's own project, which lies in no deployment of the host."""
    file, project = SHAPES / sandbox.shape.elsewhere, sandbox.elsewhere
    place = ("--project-directory", sandbox.shared, "--env-file", sandbox.kept_env)
    options = ("--project-name", project, "--file", file, *place)
    return run("docker", "compose", *options, *arguments, cwd=sandbox.shared, timeout=UP_SECONDS)


def start(sandbox: Sandbox) -> None:
    """Start what does not run. A container that is there is never recreated: that would lose its code."""
    shape, up = sandbox.shape, ("up", "--detach", "--no-build", "--no-recreate")
    stores = [service for service in (shape.database, shape.redis) if service]
    if shape.elsewhere:
        compose_elsewhere(sandbox, *up)
        stores.remove(shape.database)
    if stores:
        compose(sandbox, *up, *stores)
    for container in sandbox.stores:
        _await(container)
    compose(sandbox, *up)


def _await(container: str) -> None:
    """Wait until a service is there, by its own health check: Docker itself asks that seldom, since it costs much."""
    kind, *words = json.loads(run("docker", "inspect", "--format", "{{json .Config.Healthcheck.Test}}", container))
    command = ["sh", "-c", *words] if kind == "CMD-SHELL" else words
    deadline = time.monotonic() + HEALTHY_SECONDS
    while not works("docker", "exec", container, *command):
        if time.monotonic() > deadline:
            raise Failure(say("%s is not healthy after %s s", container, f"{HEALTHY_SECONDS:g}"))
        time.sleep(0.3)


def execute(container: str, *command: str, user: str = "", stdin: str = "") -> str:
    """Run a command in a container and return what it printed."""
    options = ["--user", user] if user else []
    return run("docker", "exec", "--interactive", *options, container, *command, stdin=stdin, timeout=UP_SECONDS)


def in_app(sandbox: Sandbox, *command: str) -> str:
    """Run a command in the app's folder as the app's user, and no scheduler with it."""
    shape = sandbox.shape
    return execute(sandbox.app, "env", "-C", shape.path, "ENABLE_SCHEDULER=false", *command, user=shape.user)


def migrate(sandbox: Sandbox) -> None:
    """Bring the database to the head of the code that the app has."""
    in_app(sandbox, sandbox.shape.flask, "db", "upgrade")


def replicas(sandbox: Sandbox) -> list[str]:
    """Name the containers of the app's service besides its first."""
    labels = (f"label={PROJECT_LABEL}={sandbox.project}", f"label={SERVICE_LABEL}={sandbox.shape.app}")
    filters = [word for label in labels for word in ("--filter", label)]
    names = run("docker", "ps", "--all", "--format", "{{.Names}}", *filters).split()
    return sorted(name for name in names if name != sandbox.app)


def running_code(sandbox: Sandbox) -> list[str]:
    """Name every container that runs the app's code, its first one first."""
    return [sandbox.app, *replicas(sandbox), *sandbox.also]


def everything(sandbox: Sandbox) -> list[str]:
    """Name every container of the sandbox."""
    return [name for one in _labels(sandbox) for name in _lines("ps", "--all", "--format", "{{.Names}}", *one)]


def restart_app(sandbox: Sandbox) -> None:
    """Have Supervisor start every program that runs the app's code anew."""
    execute(sandbox.app, "supervisorctl", "restart", *sandbox.shape.programs)


def wait_until_healthy(sandbox: Sandbox, seconds: float = HEALTHY_SECONDS) -> None:
    """Wait until the app answers at all of its doors; Failure with its last error lines when it does not."""
    deadline, pause = time.monotonic() + seconds, 0.1
    while not is_healthy(sandbox):
        if time.monotonic() > deadline:
            log = run("docker", "logs", "--tail", "50", sandbox.app)
            raise Failure(
                say("the app of sandbox %s does not answer after %s s", sandbox.name, f"{seconds:g}"),
                evidence=tail(log),
            )
        time.sleep(pause)
        pause = min(pause * 1.5, 1)


def is_healthy(sandbox: Sandbox) -> bool:
    """Tell whether the app answers at all of its doors."""
    doors = [(sandbox.http_port, path) for path in sandbox.shape.checks.values()]
    if sandbox.shape.direct:
        doors.append((sandbox.app_port, sandbox.shape.direct))
    return all(answer(port, path)[0] == 200 for port, path in doors)


def answer(port: int, path: str) -> tuple[int, str]:
    """Ask a loopback port over HTTP; status and body, status 0 when nothing answers."""
    try:
        with _opener.open(f"http://127.0.0.1:{port}{path}", timeout=10) as response:
            return response.status, response.read().decode(errors="replace")
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode(errors="replace")
    except OSError:
        return 0, ""


def states(sandbox: Sandbox) -> dict[str, str]:
    """Return the states of each service's containers, as Docker names them; "absent" where there is none."""
    shown = f'{{{{.Label "{SERVICE_LABEL}"}}}} {{{{.State}}}}'
    found = [line.split() for one in _labels(sandbox) for line in _lines("ps", "--all", "--format", shown, *one)]
    states = {service: [state for of, state in found if of == service] for service in sandbox.shape.containers}
    return {service: ", ".join(sorted(found)) or "absent" for service, found in states.items()}


def all_run(sandbox: Sandbox) -> bool:
    """Tell whether each service has all of its containers, and they run."""
    numbers = dict.fromkeys(sandbox.shape.containers, 1) | {sandbox.shape.app: sandbox.shape.replicas}
    return states(sandbox) == {service: ", ".join(["running"] * number) for service, number in numbers.items()}


def foreign_folder(sandbox: Sandbox) -> str | None:
    """Return the folder of a project of the same name that is not this sandbox; None when the name is free."""
    found = run("docker", "ps", "--all", "--quiet", "--filter", f"label={PROJECT_LABEL}={sandbox.project}").split()
    if not found:
        return None
    folders = run("docker", "inspect", "--format", f'{{{{index .Config.Labels "{FOLDER_LABEL}"}}}}', *found).split("\n")
    return next((folder for folder in folders if folder and folder != str(sandbox.path)), None)


def remove(sandbox: Sandbox) -> None:
    """Remove its containers, volumes and networks, whether or not its folder is still there.

    What several hosts share goes with the first.
    """
    labels = _labels(sandbox) if sandbox.root == sandbox.shared else _labels(sandbox)[:1]
    if containers := [name for one in labels for name in _lines("ps", "--all", "--quiet", *one)]:
        run("docker", "rm", "--force", "--volumes", *containers, timeout=UP_SECONDS)
    if volumes := [name for one in labels for name in _lines("volume", "ls", "--quiet", *one)]:
        run("docker", "volume", "rm", *volumes)
    if networks := [name for one in labels for name in _lines("network", "ls", "--quiet", *one)]:
        run("docker", "network", "rm", *networks)


def _labels(sandbox: Sandbox) -> tuple[tuple[str, str], ...]:
    """The options by which Docker lists what is of the sandbox's projects, of each."""
    return tuple(("--filter", f"label={PROJECT_LABEL}={project}") for project in (sandbox.project, sandbox.elsewhere))


def _lines(*command: str) -> list[str]:
    return run("docker", *command).splitlines()
