"""An sshd of the sandbox's own, on a loopback port, with keys that only the sandbox knows."""

import os
import shlex
import socket
import time
from pathlib import Path

from deploy.errors import Failure
from deploy.message import say
from deploy.sandbox.command import run, tail
from deploy.sandbox.engine import find
from deploy.sandbox.home import Sandbox
from deploy.sandbox.processes import Process, below

START_SECONDS = 60.0
# Where sshd insists on having an empty folder when root runs it; made by the service that we do not use.
SEPARATION = Path("/run/sshd")


def start(sandbox: Sandbox) -> None:
    """Make keys and configuration once, and start sshd if it does not run."""
    if process(sandbox):
        return
    if not _config(sandbox).exists():
        _configure(sandbox)
    if os.getuid() == 0:
        SEPARATION.mkdir(mode=0o755, exist_ok=True)
    run(find("sshd") or "sshd", "-f", _config(sandbox), "-E", _log(sandbox))
    deadline = time.monotonic() + START_SECONDS
    while not (process(sandbox) and _answers(sandbox.ssh_port)):
        if time.monotonic() > deadline:
            raise Failure(say("sshd did not start"), evidence=tail(_log(sandbox).read_text(encoding="utf-8")))
        time.sleep(0.05)


def stop(sandbox: Sandbox) -> None:
    """End sshd and every session that it serves."""
    listener = process(sandbox)
    if listener is None:
        return
    sessions = below(listener)
    for one in (listener, *sessions):
        one.end()


def set_login_file(sandbox: Sandbox, text: str) -> None:
    """Have each login read this as its ~/.bashrc; an empty text takes that back."""
    if _login_file(sandbox).exists() and _login_file(sandbox).read_text(encoding="utf-8") == _login(text):
        return
    stop(sandbox)
    _write_config(sandbox, text)
    start(sandbox)


def process(sandbox: Sandbox) -> Process | None:
    """Return the process that listens; None when it does not run."""
    try:
        pid = int((sandbox.ssh / "sshd.pid").read_text(encoding="ascii"))
        # After a reboot the pid may be anybody's.
        ours = str(_config(sandbox)) in Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace")
    except (OSError, ValueError):
        return None
    return Process.of(pid) if ours else None


def command(sandbox: Sandbox) -> list[str]:
    """Return the command that opens a shell on the sandbox's host."""
    known_hosts = str(sandbox.known_hosts).replace("%", "%%")
    return [
        "ssh", "-F", "none", "-i", str(sandbox.identity), "-o", "IdentitiesOnly=yes",
        "-o", f'UserKnownHostsFile="{known_hosts}"', "-o", "StrictHostKeyChecking=yes",
        "-p", str(sandbox.ssh_port), f"{sandbox.user}@127.0.0.1",
    ]  # fmt: skip


def _configure(sandbox: Sandbox) -> None:
    sandbox.ssh.mkdir(mode=0o700, exist_ok=True)
    host_key = sandbox.ssh / "host_key"
    for key in (host_key, sandbox.identity):
        run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", sandbox.project, "-f", key)
    authorized = sandbox.ssh / "authorized_keys"
    authorized.write_text(_public(sandbox.identity), encoding="utf-8")
    sandbox.known_hosts.write_text(f"[127.0.0.1]:{sandbox.ssh_port} {_public(host_key)}", encoding="utf-8")
    _write_config(sandbox, "")


def _write_config(sandbox: Sandbox, login: str) -> None:
    _login_file(sandbox).parent.mkdir(exist_ok=True)
    _login_file(sandbox).write_text(_login(login), encoding="utf-8")
    # The host talks to the engine that the sandbox is on, when that is not the default one.
    environment = {name: value for name, value in os.environ.items() if name == "DOCKER_HOST"}
    environment["HOME"] = str(_login_file(sandbox).parent)
    lines = (
        f"Port {sandbox.ssh_port}",
        "ListenAddress 127.0.0.1",
        f'HostKey "{sandbox.ssh / "host_key"}"',
        f'PidFile "{sandbox.ssh / "sshd.pid"}"',
        f'AuthorizedKeysFile "{str(sandbox.ssh / "authorized_keys").replace("%", "%%")}"',
        # The keys lie in the repository's folder, which others may be allowed to write to.
        "StrictModes no",
        "UsePAM no",
        "PermitRootLogin prohibit-password",
        "PasswordAuthentication no",
        "KbdInteractiveAuthentication no",
        "AllowTcpForwarding yes",
        "PrintMotd no",
        "PermitUserRC no",
        # Of several such lines sshd takes the first.
        "SetEnv " + " ".join(f'"{name}={value}"' for name, value in environment.items()),
    )
    _config(sandbox).write_text("\n".join(lines) + "\n", encoding="utf-8")


def _public(key: Path) -> str:
    return key.with_name(f"{key.name}.pub").read_text(encoding="ascii")


def _answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _config(sandbox: Sandbox) -> Path:
    return sandbox.ssh / "sshd_config"


def _login_file(sandbox: Sandbox) -> Path:
    # What whoever develops this has in their own belongs to no production, and takes its time at each login.
    return sandbox.ssh / "login" / ".bashrc"


def _login(text: str) -> str:
    # The home that sshd tells is but the folder of this file; the engine's program is where theirs finds it.
    engine = Path(find("docker") or "/usr/bin/docker").parent
    return f"export HOME={shlex.quote(str(Path.home()))} PATH=$PATH:{shlex.quote(str(engine))}\n{text}"


def _log(sandbox: Sandbox) -> Path:
    return sandbox.ssh / "sshd.log"
