"""Bring a sandbox up, look at it, take it down."""

import shutil
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from types import MappingProxyType

from deploy.errors import Exit, Failure
from deploy.message import Message, Printed, Told, counted, say
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
    hosts: int = 1,
    import_seconds: float = 3.5,
    tell: Callable[[Told], None] = show,
) -> Sandbox:
    """Make a sandbox, or bring one back up; a half-made one is made anew.

    `shape` (empty: today's), `hosts`, how many it has, and `import_seconds`, how long the app takes to import, are of a
    sandbox that is made now; one that is there and has another shape or other hosts is refused.
    Of several hosts the first is returned, and all are its `members`.
    """
    if hosts < 1:
        raise Failure(say("a sandbox has one host or more, not %s", hosts), code=Exit.USAGE)
    wanted = shapes.named(shape) if shape else None
    there = _there(name)
    if there and all((one.root / "target.yaml").exists() for one in there):
        _agree(name, there, wanted, hosts)
        prepare(install, tell, of=[there[0].shape])
        return _revive(name, there, tell)
    new = wanted or shapes.TODAY
    if hosts > 1:
        new = shapes.on_hosts(new)
    services = prepare(install, tell, of=[new])
    planned = _plan(name, new, hosts)
    for half_made in (name, *(one.name for one in planned)):
        down(half_made, tell=tell)
    _make(planned, services, import_seconds, tell)
    tell(say("sandbox %s is up, origin is one release ahead of it", name))
    _suggest(name, planned, tell)
    return planned[0]


def down(name: str = DEFAULT, *, tell: Callable[[Told], None] = show) -> None:
    """Remove a sandbox and all that it brought; with one host of several go all."""
    root = home.folder(name)
    there = next((one.members for one in _there(name)), ())
    if not there and not root.exists():
        return
    reason = engine.usable() if there else None
    if reason:
        raise Failure(say("the containers of sandbox %s cannot be removed: %s", name, reason))
    for one in there:
        (one.root / "target.yaml").unlink(missing_ok=True)
    # The first one has what all share.
    for one in reversed(there):
        _remove(one)
        shutil.rmtree(one.root)
    if root.exists():
        shutil.rmtree(root)
    tell(say("sandbox %s is gone", there[0].group or name if there else name))


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
    return releases.publish(hosts(name)[0], kind)


def break_(name: str, kind: str) -> Message:
    """Make the sandbox ill; return in one line what was done."""
    return breaks.break_(load(name), kind)


def restore(name: str) -> None:
    """Undo what `break_` did, whatever it was, on each host."""
    for one in hosts(name):
        breaks.restore(one)


def hosts(name: str = DEFAULT) -> tuple[Sandbox, ...]:
    """Return the hosts of the sandbox of this name, or the one host that has it; Failure when there is none."""
    return _there(name) or (load(name),)


def _there(name: str) -> tuple[Sandbox, ...]:
    """Return the hosts of the sandbox of this name, or the one host that has it; none where there is none."""
    there = (load(name),) if (home.folder(name) / "sandbox.json").exists() else ()
    return there or home.group(name)


def _agree(name: str, there: tuple[Sandbox, ...], wanted: Shape | None, hosts: int) -> None:
    """Refuse what the sandbox that is there is not."""
    shape = shapes.TODAY if there[0].group else there[0].shape
    if wanted not in (None, shape):
        fact = say("the sandbox %s has the shape %s", name, shape.name)
    elif hosts not in (1, len(there)):
        fact = say("the sandbox %s has %s", name, counted(len(there), "%s host", "%s hosts"))
    else:
        return
    remedy = say("%s, or choose another --name", sh("inv", "sandbox.down", "--name", name))
    raise Failure(fact, remedy=remedy, code=Exit.USAGE)


def _plan(name: str, shape: Shape, hosts: int) -> tuple[Sandbox, ...]:
    """Think up the hosts of a new sandbox, whose names no other has."""
    planned = home.plan_group(name, shape, hosts) if hosts > 1 else (home.plan(name, shape),)
    if taken := sorted({name, *(one.name for one in planned)} & home.taken()):
        fact = say("invoke.yaml has a target or a group %s already", taken[0])
        raise Failure(fact, remedy=say("choose a --name"), code=Exit.USAGE)
    for one in planned:
        if (one.root / "target.yaml").exists() and load(one.name).group != one.group:
            fact = say("another sandbox is named %s", one.name)
            raise Failure(fact, remedy=say("choose a --name"), code=Exit.USAGE)
        if elsewhere := compose.foreign_folder(one):
            fact = say("another sandbox %s is on this Docker engine, made from %s", one.name, elsewhere)
            raise Failure(fact, remedy=say("choose a --name"))
    return planned


def _make(
    hosts: tuple[Sandbox, ...], services: dict[str, str], import_seconds: float, tell: Callable[[Told], None]
) -> None:
    first, *others = hosts
    for one in hosts:
        one.remember()
    tell(say("making its origin and its deployment clone"))
    origin.create(first)
    secret = host.new_secrets(first)
    for one in hosts:
        host.make(one)
        host.write_env(one, services, import_seconds, secret)
    tell(say("building the production image and starting the stack"))
    images.production(first, services[first.shape.base])
    for one in others:
        images.tag(first.image, one.image)
    _start(hosts)
    # A container may migrate by itself as it starts.
    compose.wait_until_healthy(first)
    compose.migrate(first)
    databases.sql(first, databases.kind_of(first).seed)
    for one in hosts:
        compose.wait_until_healthy(one)
        compose.in_app(one, "sh", "-ec", CUSTOMER_FILES, "sh", one.shape.userdata)
        sshd.start(one)
    releases.publish(first, "code")
    _register(hosts)


def _revive(name: str, hosts: tuple[Sandbox, ...], tell: Callable[[Told], None]) -> Sandbox:
    for one in hosts:
        host.make(one)
    _start(hosts)
    for one in hosts:
        sshd.start(one)
    _register(hosts)
    up = say("sandbox %s is up", name)
    tell(up if all(map(compose.is_healthy, hosts)) else say("%s; its app does not answer yet", up))
    return hosts[0]


def _start(hosts: tuple[Sandbox, ...]) -> None:
    """Start their containers: what they share with the first's, then the others' side by side."""
    first, *others = hosts
    compose.start(first)
    with ThreadPoolExecutor() as pool:
        list(pool.map(compose.start, others))


def _register(hosts: tuple[Sandbox, ...]) -> None:
    """Write their settings, last those of the first, which name the others."""
    for one in reversed(hosts):
        one.register()


def _remove(sandbox: Sandbox) -> None:
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


def _suggest(name: str, hosts: tuple[Sandbox, ...], tell: Callable[[Told], None]) -> None:
    tell(say("try: %s", sh("inv", "hot-update", "--target", name)))
    for words, whom in (
        (("sandbox.release", "migration"), name),
        (("sandbox.break", "dirty"), hosts[-1].name),
        (("sandbox.down",), name),
    ):
        tell(say("     %s", sh("inv", *words, "--name", whom)))
