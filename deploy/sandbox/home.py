"""Where the sandboxes live, and what is known of one."""

import json
import pwd
import re
import secrets
import socket
from dataclasses import asdict, dataclass
from os import getuid
from pathlib import Path
from string import Template

import yaml

from deploy.errors import Exit, Failure
from deploy.message import Printed, say
from deploy.sandbox import shape as shapes
from deploy.sandbox.shape import SHAPES, Shape
from deploy.shell import sh

# Below the range that outgoing connections take their ports from.
PORTS = range(20000, 32000)
PORT_NAMES = ("ssh_port", "http_port", "https_port", "app_port")


@dataclass(frozen=True)
class Sandbox:
    """One throwaway production, or one of its hosts where it has several.

    `root` is the folder of everything it has on this machine.
    """

    name: str
    root: Path
    ssh_port: int
    http_port: int
    https_port: int
    app_port: int
    shape: Shape
    # The name of the sandbox that it is a host of, one of several.
    group: str = ""

    @property
    def members(self) -> tuple["Sandbox", ...]:
        """All hosts of the sandbox, in order."""
        return group(self.group) if self.group else (self,)

    @property
    def shared(self) -> Path:
        """The folder of what the hosts share, which is that of the first."""
        return self.root.with_name(f"{self.group}-1") if self.group else self.root

    @property
    def host(self) -> Path:
        """The filesystem of the production host."""
        return self.root / "host"

    @property
    def path(self) -> Path:
        """The deployment clone; Compose names the project after this folder."""
        return self.host / self.project

    @property
    def origin(self) -> Path:
        """The bare repository that releases are published to."""
        return self.shared / "origin.git"

    @property
    def developer(self) -> Path:
        """The clone that releases are made in."""
        return self.shared / "developer"

    @property
    def env_file(self) -> Path:
        """The production secrets."""
        return self.path / ".env"

    @property
    def kept_env(self) -> Path:
        """Their copy outside the host, for when a reboot takes the host away."""
        return self.root / "env"

    @property
    def ssh(self) -> Path:
        """The folder of sshd's and the client's keys."""
        return self.root / "ssh"

    @property
    def identity(self) -> Path:
        """The client's private key."""
        return self.ssh / "id_ed25519"

    @property
    def known_hosts(self) -> Path:
        """The client's known_hosts file."""
        return self.ssh / "known_hosts"

    @property
    def project(self) -> str:
        """The Compose project."""
        return f"whalefall-{self.name}"

    @property
    def elsewhere(self) -> str:
        """The Compose project of the database, where it is none of the app's; no sandbox's name has an underscore."""
        return f"whalefall-{self.shared.name}_elsewhere"

    @property
    def app(self) -> str:
        """The app's container, of several the first."""
        return self._container(self.shape.app)

    @property
    def also(self) -> tuple[str, ...]:
        """The containers of the other services that run the code."""
        return tuple(map(self._container, self.shape.also))

    @property
    def database(self) -> str:
        """The database's container."""
        return self._container(self.shape.database)

    @property
    def redis(self) -> str:
        """The container of Redis, in a shape that has it."""
        return self._container(self.shape.redis)

    @property
    def stores(self) -> tuple[str, ...]:
        """The containers of what keeps the app's data."""
        return tuple(self._container(one) for one in (self.shape.database, self.shape.redis) if one)

    @property
    def image(self) -> str:
        """The production image."""
        return f"whalefall-sandbox-{self.name}:prod"

    @property
    def user(self) -> str:
        """Who logs in at the sandbox's sshd: whoever made the sandbox."""
        return pwd.getpwuid(getuid()).pw_name

    def remember(self) -> None:
        """Write down what `load` reads."""
        self.root.mkdir(parents=True, exist_ok=True)
        known = {key: value for key, value in asdict(self).items() if key.endswith("_port")}
        known |= {"shape": self.shape.name, "group": self.group}
        (self.root / "sandbox.json").write_text(json.dumps(known), encoding="utf-8")

    def register(self) -> None:
        """Write the settings of the target that has this sandbox's name."""
        said: dict[str, object] = {"targets": {self.name: self._target()}}
        if self.members[0] == self and self.group:
            said["groups"] = {self.group: {"targets": [one.name for one in self.members]}}
        text = yaml.safe_dump(said, allow_unicode=True, sort_keys=False)
        (self.root / "target.yaml").write_text(text, encoding="utf-8")

    def _target(self) -> dict[str, object]:
        template = Template((SHAPES / f"{self.shape.name}.yaml").read_text(encoding="utf-8"))
        return {
            "host": f"{self.user}@127.0.0.1:{self.ssh_port}",
            "path": str(self.path),
            "ssh": {"identity": str(self.identity), "known_hosts": str(self.known_hosts)},
            **yaml.safe_load(
                template.substitute(
                    name=self.name,
                    image=self.image,
                    database=self.database,
                    http_port=self.http_port,
                    app_port=self.app_port,
                )
            ),
        }

    def _container(self, service: str) -> str:
        return self.shape.containers[service].format(sandbox=self.name, service=service, elsewhere=self.elsewhere)


def home() -> Path:
    """Return the folder of all sandboxes: .sandbox in the repository, or in the working directory without one."""
    repository = Path(__file__).resolve().parents[2]
    return (repository if (repository / "invoke.yaml").exists() else Path.cwd()) / ".sandbox"


def names() -> list[str]:
    """Return the names of the sandboxes that are there, half-made ones included."""
    return sorted(path.name for path in home().glob("*/") if path.is_dir() and valid(path.name))


def taken() -> set[str]:
    """Name the targets and groups of the project's invoke.yaml; none where it cannot be read."""
    try:
        told = yaml.safe_load((home().parent / "invoke.yaml").read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return set()
    sections = [told.get(key) for key in ("targets", "groups")] if isinstance(told, dict) else []
    return {str(name) for section in sections if isinstance(section, dict) for name in section}


def valid(name: str) -> bool:
    """Tell whether containers and folders can be named after this."""
    return re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name) is not None


def folder(name: str) -> Path:
    """Return the folder of the sandbox of this name; Failure when nothing can have that name."""
    if not valid(name):
        raise Failure(
            say("a sandbox cannot be named %s", repr(name)),
            remedy=say("use small letters, digits and hyphens, 40 at most, a letter or digit first"),
            code=Exit.USAGE,
        )
    return home() / name


def load(name: str) -> Sandbox:
    """Return the sandbox of this name; Failure when there is none."""
    root = folder(name)
    try:
        known = json.loads((root / "sandbox.json").read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        if hosts := group(name):
            remedy = say("one of: %s", tuple(host.name for host in hosts))
            raise Failure(say("the sandbox %s has several hosts", name), remedy=remedy, code=Exit.USAGE) from error
        up = Printed(sh("inv", "sandbox.up", "--name", name))
        raise Failure(say("there is no sandbox %s", name), remedy=up, code=Exit.USAGE) from error
    # One that was made before there were shapes is of January's.
    shape = known.pop("shape", shapes.JANUARY.name)
    return Sandbox(name=name, root=root, shape=shapes.HOSTS if known.get("group") else shapes.named(shape), **known)


def group(name: str) -> tuple[Sandbox, ...]:
    """Return the hosts of the sandbox of this name that has several, in order; none where there is no such sandbox."""
    there = [one for one in names() if one.startswith(f"{name}-") and (home() / one / "sandbox.json").exists()]
    hosts = [host for host in map(load, there) if host.group == name]
    return tuple(sorted(hosts, key=lambda host: int(host.name.rpartition("-")[2])))


def plan(name: str, shape: Shape) -> Sandbox:
    """Think up a new sandbox, with ports that are free now. Makes nothing."""
    return _planned(name, shape, free_ports(len(PORT_NAMES)))


def plan_group(name: str, shape: Shape, hosts: int) -> tuple[Sandbox, ...]:
    """Think up a new sandbox of several hosts, as `plan` does one."""
    ports = free_ports(len(PORT_NAMES) * hosts)
    return tuple(_planned(f"{name}-{number + 1}", shape, ports[number::hosts], name) for number in range(hosts))


def free_ports(count: int) -> list[int]:
    """Return that many different TCP ports of 127.0.0.1 on which nothing listens."""
    found: list[int] = []
    while len(found) < count:
        port = secrets.choice(PORTS)
        if port not in found and _is_free(port):
            found.append(port)
    return found


def _planned(name: str, shape: Shape, ports: list[int], group: str = "") -> Sandbox:
    return Sandbox(name=name, root=folder(name), shape=shape, group=group, **dict(zip(PORT_NAMES, ports, strict=True)))


def _is_free(port: int) -> bool:
    with socket.socket() as listener:
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
