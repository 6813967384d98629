"""A swarm of one node, on the engine that docker asks at the time."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from deploy.sandbox.command import run, works

# What an engine of a swarm makes beside the networks of its own.
BRIDGE = "docker_gwbridge"
# Away from the addresses that this machine and its engines use, as far as anybody can know.
POOL = "10.245.0.0/16"


@contextmanager
def swarm() -> Iterator[None]:
    """Have the engine be one, reached from this machine alone, and leave it in the end."""
    here = ("--advertise-addr", "127.0.0.1", "--listen-addr", "127.0.0.1:2377")
    run("docker", "swarm", "init", *here, "--default-addr-pool", POOL)
    try:
        yield
    finally:
        run("docker", "swarm", "leave", "--force", timeout=60)
        works("docker", "network", "rm", BRIDGE)


def deploy(stack: str, files: tuple[Path, ...], values: Mapping[str, str]) -> None:
    """Deploy a stack, with images that no registry has."""
    words = [word for file in files for word in ("--compose-file", str(file))]
    run("docker", "stack", "deploy", "--resolve-image", "never", *words, stack, env=values)


def update(service: str, image: str, *more: str) -> str:
    """Have a service made from another image, one container after the other, to the end; return what it has then."""
    words = ("--quiet", "--detach=false", "--no-resolve-image", "--image", image)
    run("docker", "service", "update", *words, *more, service, timeout=120)
    told = "{{.Spec.TaskTemplate.ContainerSpec.Image}}"
    return run("docker", "service", "inspect", "--format", told, service).strip()


def running(service: str) -> list[str]:
    """Return the images of the containers of a service that run, and are well."""
    shown = ("--filter", "desired-state=running", "--format", "{{.CurrentState}} {{.Image}}")
    tasks = run("docker", "service", "ps", *shown, service).splitlines()
    return [task.split()[-1] for task in tasks if task.startswith("Running")]
