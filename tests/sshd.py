"""A real sshd of a test's own on a loopback port, with its own host key, for whoever runs the test."""

import getpass
import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

# sshd starts itself again for every connection, so it wants to be called by its full path.
SSHD = shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")

needs_sshd = pytest.mark.skipif(SSHD is None and os.environ.get("CI") != "true", reason="sshd is not installed")

USER = getpass.getuser()


@dataclass
class Sshd:
    """A running sshd; everything that is its own lies in its folder."""

    folder: Path
    port: int
    process: subprocess.Popen[bytes]

    @property
    def address(self) -> str:
        return f"{USER}@127.0.0.1:{self.port}"

    @property
    def name(self) -> str:
        """Its name in known_hosts."""
        return f"[127.0.0.1]:{self.port}"

    @property
    def host_key(self) -> str:
        """Its public host key: kind and bytes, as in known_hosts."""
        return " ".join((self.folder / "host_key.pub").read_text().split()[:2])

    @property
    def known_hosts_line(self) -> str:
        return f"{self.name} {self.host_key}\n"

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    def sessions(self) -> list[int]:
        """The processes that serve its connections, not what runs in them."""
        return _sshds_below(self.process.pid)

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait()


def _sshds_below(pid: int) -> list[int]:
    """List the sshd processes below one; a process that ends meanwhile is none."""
    found = []
    with suppress(FileNotFoundError, ProcessLookupError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            if Path(f"/proc/{child}/comm").read_text().startswith("sshd"):
                found += [int(child), *_sshds_below(int(child))]
    return found


def new_key(file: Path, *options: str) -> Path:
    """Make a key pair; without options an Ed25519 one without a passphrase."""
    command = ["ssh-keygen", "-q", "-f", str(file), *(options or ("-t", "ed25519", "-N", ""))]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return file


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def start(folder: Path, authorized: Path, *settings: str) -> Sshd:
    """Start an sshd that lets the given public key in; settings are further lines of sshd_config, which win."""
    assert SSHD, "sshd is not installed"
    if os.geteuid() == 0:
        # As the distribution's own start-up does; only root's sshd separates privileges.
        Path("/run/sshd").mkdir(mode=0o755, exist_ok=True)
    folder.mkdir()
    new_key(folder / "host_key")
    port = free_port()
    config = folder / "sshd_config"
    lines = (
        *settings,
        f"Port {port}",
        "ListenAddress 127.0.0.1",
        f"HostKey {folder}/host_key",
        f"AuthorizedKeysFile {authorized}",
        "PidFile none",
        "UsePAM no",
        "StrictModes no",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "PermitRootLogin yes",
        "LogLevel VERBOSE",
    )
    config.write_text("\n".join(lines) + "\n")
    process = subprocess.Popen([SSHD, "-D", "-f", str(config), "-E", str(folder / "log")])
    sshd = Sshd(folder, port, process)
    for _ in range(200):
        if process.poll() is not None:
            raise RuntimeError(f"sshd did not start: {sshd.log}")
        with socket.socket() as client:
            if client.connect_ex(("127.0.0.1", port)) == 0:
                return sshd
        time.sleep(0.05)
    sshd.stop()
    raise RuntimeError(f"sshd does not listen: {sshd.log}")


def start_agent(place: Path) -> subprocess.Popen[bytes]:
    """Start an agent that takes connections at a socket."""
    agent = subprocess.Popen(["ssh-agent", "-D", "-a", str(place)], stdout=subprocess.DEVNULL)
    while True:
        assert agent.poll() is None
        with socket.socket(socket.AF_UNIX) as client, suppress(FileNotFoundError, ConnectionRefusedError):
            client.connect(str(place))
            return agent
