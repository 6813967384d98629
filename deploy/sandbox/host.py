"""The sandbox's production host: a small filesystem with the deployment clone and the production secrets."""

import os
import secrets
from collections.abc import Mapping
from pathlib import Path

from deploy.sandbox.command import run
from deploy.sandbox.databases import kind_of
from deploy.sandbox.git import git
from deploy.sandbox.home import Sandbox
from deploy.sandbox.origin import DEPLOYED

# Room for the clone, for backups and for what preflight wants free, and small enough to fill.
SIZE_MIB = 640


def make(sandbox: Sandbox) -> None:
    """Make the host's filesystem and the deployment clone, if they are not there (a reboot empties the filesystem)."""
    sandbox.host.mkdir(parents=True, exist_ok=True)
    if os.getuid() == 0 and not sandbox.host.is_mount():
        run("mount", "-t", "tmpfs", "-o", f"size={SIZE_MIB}m,mode=755", sandbox.project, sandbox.host)
    if not (sandbox.path / ".git").exists():
        git(sandbox.root, "clone", "--quiet", "--branch", "main", sandbox.origin, sandbox.path)
        git(sandbox.path, "reset", "--quiet", "--hard", git(sandbox.origin, "rev-parse", DEPLOYED))
    if sandbox.kept_env.exists() and not sandbox.env_file.exists():
        write_private(sandbox.env_file, sandbox.kept_env.read_text(encoding="utf-8"))


def new_secrets(sandbox: Sandbox) -> dict[str, str]:
    """Make up the production secrets; several hosts have them in common."""
    return {
        **{password: secrets.token_hex(16) for password in kind_of(sandbox).passwords},
        **({"REDIS_PASSWORD": secrets.token_hex(16)} if sandbox.shape.redis else {}),
        "SECRET_KEY": f"'{secrets.token_hex(8)} $HOME \"{secrets.token_hex(8)}\" #1'",
        "JWT_SECRET_KEY": f'"{secrets.token_urlsafe(24)}"',
        "MAIL_PASSWORD": f"'密码 {secrets.token_hex(8)} & \\n'",
        "WEBHOOK_URL": f"https://hooks.example.com/{secrets.token_hex(8)}?a=1&b=2",
    }


def write_env(sandbox: Sandbox, images: Mapping[str, str], import_seconds: float, secret: Mapping[str, str]) -> None:
    """Write .env, and its copy."""
    values = {
        "SANDBOX_NAME": sandbox.name,
        "APP_IMAGE": sandbox.image,
        "BASE_IMAGE": images[sandbox.shape.base],
        **{f"{service.upper()}_IMAGE": images[service] for service in sandbox.shape.others},
        "HTTP_PORT": sandbox.http_port,
        "HTTPS_PORT": sandbox.https_port,
        "APP_PORT": sandbox.app_port,
        "IMPORT_SECONDS": import_seconds,
        # The real scheduler takes 2 s to start.
        "SCHEDULER_SECONDS": min(2.0, import_seconds),
        **secret,
    }
    known = {**values, "elsewhere": sandbox.elsewhere}
    values |= {key: value.format_map(known) for key, value in sandbox.shape.env.items()}
    text = "# Production secrets\n" + "".join(f"{key}={value}\n" for key, value in values.items())
    write_private(sandbox.env_file, text)
    write_private(sandbox.kept_env, text)


def unmount(folder: Path) -> None:
    """Take the host's filesystem away; one that is still in use disappears with its last user."""
    while folder.is_mount():
        run("umount", "--lazy", folder)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner reads."""
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
