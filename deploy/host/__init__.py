"""The host of a target: reached by SSH, or this machine itself."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

import requests

from deploy.host.dialogue import Answer, Disconnected
from deploy.host.local import LocalHost
from deploy.host.ssh import Ssh, SshHost

__all__ = ["Answer", "Disconnected", "Host", "LocalHost", "SshHost", "connect"]


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

    label: str

    def run(self, script: str, *, stdin: bytes = b"", timeout: float | None = None) -> Answer:
        """Run a script to its end; timeout in seconds."""

    def stream(self, script: str, *, stdin: bytes = b"") -> AbstractContextManager[Iterator[str]]:
        """Give a script's stdout line by line as it comes; leaving early does not end the script."""

    def http(self) -> requests.Session:
        """Make a session whose requests reach the host's own loopback services."""

    def close(self) -> None:
        """End the connection."""


def connect(target: Target, ssh: Ssh, *, ask: Callable[[str], str] | None) -> Host:
    """Connect to a target; ask, when there is somebody to ask, is given a prompt and returns a password."""
    host = LocalHost() if target.local else SshHost(target.host, ssh)
    if target.sudo:
        try:
            host.escalate(ask)
        except BaseException:
            host.close()
            raise
    return host
