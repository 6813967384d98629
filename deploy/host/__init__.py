"""The host of a target: reached by SSH, or this machine itself. Each is imported when it is the one."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol

from deploy.host.dialogue import Answer, Disconnected, Ended
from deploy.message import Told

if TYPE_CHECKING:
    import requests

    from deploy.host.local import LocalHost
    from deploy.host.ssh import Ssh, SshHost

__all__ = ["Answer", "Disconnected", "Ended", "Host", "connect"]


class Target(Protocol):
    """Where to go, as the settings say."""

    @property
    def name(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def sudo(self) -> bool: ...
    @property
    def local(self) -> bool: ...


class Host(Protocol):
    """A host that runs Bash scripts and lets its own services be asked."""

    label: Told

    def run(self, script: str, *, stdin: bytes = b"", timeout: float | None = None) -> Answer:
        """Run a script to its end; timeout in seconds."""

    def stream(self, script: str, *, stdin: bytes = b"") -> AbstractContextManager[Iterator[str]]:
        """Give a script's stdout line by line as it comes; leaving early does not end the script."""

    def prepare(self, count: int) -> None:
        """Prepare for that many scripts, which then begin without delay."""

    def http(self) -> "requests.Session":
        """Make a session whose requests reach the host's own loopback services."""

    def close(self) -> None:
        """End the connection."""


Ask = Callable[[Told], str]


def connect(target: Target, ssh: "Ssh", *, ask: Ask | None, ask_once: Ask | None = None) -> Host:
    """Connect to a target. `ask`, when there is somebody to ask, is given a prompt and returns a password or a code.

    `ask_once`, for sudo, may remember its answers: the next connection then asks nobody.
    """
    host = _reach(target, ssh, ask)
    if target.sudo:
        try:
            host.escalate(ask_once or ask)
        except BaseException:
            host.close()
            raise
    return host


def _reach(target: Target, ssh: "Ssh", ask: Ask | None) -> "LocalHost | SshHost":
    if target.local:
        from deploy.host.local import LocalHost

        return LocalHost()
    from deploy.host.ssh import SshHost

    return SshHost(target.host, ssh, ask)
