"""Bring a sandbox up, look at it, take it down."""

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from deploy.errors import Exit, Failure
from deploy.message import Message, Printed, Told, say
from deploy.report import Report
from deploy.sandbox import breaks, compose, databases, engine, home, host, images, origin, processes, releases, sshd
from deploy.sandbox import shape as shapes
from deploy.sandbox.git import git
from deploy.sandbox.home import Sandbox, load
from deploy.sandbox.shape import Shape
from deploy.shell import sh

__all__ = ["BREAK_KINDS", "RELEASE_KINDS", "Sandbox", "Status", "load"]

RELEASE_KINDS = releases.KINDS
BREAK_KINDS = breaks.KINDS
DEFAULT = "sandbox"
CUSTOMER_FILES = """
cd "$1"
printf 'name,size\n' >'exports/客户 报表.csv'
printf 'kept\n' >uploads/upload.txt
"""


@dataclass(frozen=True)
class Status:
    """How a sandbox is. `services` are the containers' states, as Docker names them."""

    sandbox: Sandbox
    services: dict[str, str]
    healthy: bool
    deployed: str
    head: str
    behind: int
    sshd: bool

    @property
    def rows(self) -> tuple[tuple[Told, Told], ...]:
        """Tell it, by name."""
        sandbox = self.sandbox
        sshd = Printed(f"127.0.0.1:{sandbox.ssh_port}")
        return (
            *((Printed(name), Printed(state)) for name, state in self.services.items()),
            (say("health"), say("healthy") if self.healthy else say("ill")),
            (say("deployed"), say("%s, %s behind origin at %s", self.deployed[:7], self.behind, self.head[:7])),
            (say("nginx"), Printed(f"http://127.0.0.1:{sandbox.http_port}")),
            *([(say("app"), Printed(f"http://127.0.0.1:{sandbox.app_port}"))] if sandbox.shape.direct else []),
            (say("sshd"), sshd if self.sshd else say("%s, not running", sshd)),
            (say("clone"), Printed(str(sandbox.path))),
        )


def show(told: Told) -> None:
    """Print a line."""
    Report().line(told)


def prepare(
    install: bool,
    tell: Callable[[Told], None],
    *,
    tools: Mapping[str, str] = MappingProxyType({}),
    of: Iterable[Shape] = shapes.NAMES.values(),
) -> dict[str, str]:
    """Make sure that this machine has all that sandboxes of these shapes need: an engine that answers, sshd, images.

    `tools` are programs that are needed besides, each with its package. `install` is the consent to install and
    start what is missing. The names of the images are returned. Failure says what is missing and what to do.
    """
    engine.ensure(install, tools)
    services = dict.fromkeys(service for shape in of for service in (shape.base, *shape.others))
    return images.dependencies(services, install, tell)


def up(
    name: str = DEFAULT,
    *,
    install: bool = False,
    shape: str = "",
    import_seconds: float = 3.5,
    tell: Callable[[Told], None] = show,
) -> Sandbox:
    """Make a sandbox, or bring one back up; a half-made one is made anew.

    `shape` (empty: today's) and `import_seconds`, how long the app takes to import, are of a sandbox that is made now;
    one that is there and has another shape is refused.
    """
    folder = home.folder(name)
    wanted = shapes.named(shape) if shape else None
    if (folder / "target.yaml").exists():
        there = _shaped(load(name), wanted)
        prepare(install, tell, of=[there.shape])
        return _revive(there, tell)
    new = wanted or shapes.TODAY
    services = prepare(install, tell, of=[new])
    if folder.exists():
        down(name, tell=tell)
    sandbox = home.plan(name, new)
    taken = compose.foreign_folder(sandbox)
    if taken:
        raise Failure(
            say("another sandbox %s is on this Docker engine, made from %s", name, taken), remedy=say("choose a --name")
        )
    _make(sandbox, services, import_seconds, tell)
    tell(say("sandbox %s is up, origin is one release ahead of it", name))
    _suggest(name, tell)
    return sandbox


def down(name: str = DEFAULT, *, tell: Callable[[Told], None] = show) -> None:
    """Remove a sandbox and all that it brought."""
    root = home.folder(name)
    if (root / "sandbox.json").exists():
        _remove(load(name))
    if root.exists():
        shutil.rmtree(root)
        tell(say("sandbox %s is gone", name))


def tidy(tell: Callable[[Told], None] = show) -> None:
    """Where no sandbox is left, stop the engine that was started for them, and leave nothing."""
    if not home.names():
        engine.stop(tell)
    if home.home().exists() and not any(home.home().iterdir()):
        home.home().rmdir()


def status(name: str = DEFAULT) -> Status:
    """Look at a sandbox."""
    sandbox = load(name)
    deployed = git(sandbox.path, "rev-parse", "HEAD")
    head = git(sandbox.origin, "rev-parse", "main")
    return Status(
        sandbox=sandbox,
        services=compose.states(sandbox),
        healthy=compose.is_healthy(sandbox),
        deployed=deployed,
        head=head,
        behind=_behind(sandbox, deployed),
        sshd=sshd.process(sandbox) is not None,
    )


def ssh_command(name: str = DEFAULT) -> list[str]:
    """Return the command that opens a shell on the sandbox's host, or runs there what is appended to it."""
    return sshd.command(load(name))


def release(name: str, kind: str) -> str:
    """Publish a release of this kind to the sandbox's origin; return its commit."""
    return releases.publish(load(name), kind)


def break_(name: str, kind: str) -> Message:
    """Make the sandbox ill; return in one line what was done."""
    return breaks.break_(load(name), kind)


def restore(name: str) -> None:
    """Undo what `break_` did, whatever it was."""
    breaks.restore(load(name))


def _shaped(sandbox: Sandbox, wanted: Shape | None) -> Sandbox:
    if wanted not in (None, sandbox.shape):
        fact = say("the sandbox %s has the shape %s", sandbox.name, sandbox.shape.name)
        remedy = say("%s, or choose another --name", sh("inv", "sandbox.down", "--name", sandbox.name))
        raise Failure(fact, remedy=remedy, code=Exit.USAGE)
    return sandbox


def _make(sandbox: Sandbox, services: dict[str, str], import_seconds: float, tell: Callable[[Told], None]) -> None:
    sandbox.remember()
    tell(say("making its origin and its deployment clone"))
    origin.create(sandbox)
    host.make(sandbox)
    host.write_env(sandbox, services, import_seconds)
    tell(say("building the production image and starting the stack"))
    images.production(sandbox, services[sandbox.shape.base])
    compose.start(sandbox)
    # A container may migrate by itself as it starts.
    compose.wait_until_healthy(sandbox)
    compose.migrate(sandbox)
    databases.sql(sandbox, databases.kind_of(sandbox).seed)
    compose.in_app(sandbox, "sh", "-ec", CUSTOMER_FILES, "sh", sandbox.shape.userdata)
    sshd.start(sandbox)
    releases.publish(sandbox, "code")
    sandbox.register()


def _revive(sandbox: Sandbox, tell: Callable[[Told], None]) -> Sandbox:
    host.make(sandbox)
    compose.start(sandbox)
    sshd.start(sandbox)
    sandbox.register()
    up = say("sandbox %s is up", sandbox.name)
    tell(up if compose.is_healthy(sandbox) else say("%s; its app does not answer yet", up))
    return sandbox


def _remove(sandbox: Sandbox) -> None:
    reason = engine.usable()
    if reason:
        raise Failure(say("the containers of sandbox %s cannot be removed: %s", sandbox.name, reason))
    sshd.stop(sandbox)
    for process in processes.of_host(sandbox.host, sandbox.ssh_port):
        process.end()
    compose.remove(sandbox)
    images.remove_production(sandbox.root)
    host.unmount(sandbox.host)


def _behind(sandbox: Sandbox, deployed: str) -> int:
    """Count the releases of origin that the deployment clone does not have."""
    shared = git(sandbox.path, "merge-base", deployed, "origin/main")
    return int(git(sandbox.origin, "rev-list", "--count", f"{shared}..main"))


def _suggest(name: str, tell: Callable[[Told], None]) -> None:
    tell(say("try: %s", sh("inv", "hot-update", "--target", name)))
    for words in (("sandbox.release", "migration"), ("sandbox.break", "dirty"), ("sandbox.down",)):
        tell(say("     %s", sh("inv", *words, "--name", name)))
