"""Packages of the distribution, Debian or Ubuntu."""

import os
import platform
import shutil
from collections.abc import Sequence
from pathlib import Path

from deploy.errors import Failure
from deploy.message import Printed, say
from deploy.sandbox.command import run
from deploy.shell import sh

# Debian's own address of its archive, for machines that have no source of it.
ARCHIVE = "http://deb.debian.org/debian"
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
SOURCES = Path("/etc/apt/sources.list.d/flask-hot-update.sources")
PIN = Path("/etc/apt/preferences.d/flask-hot-update")
# RUNLEVEL=1 keeps packages from starting their services where no systemd runs; we start what we need.
QUIETLY = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1", "LC_ALL": "C"}
INSTALL_SECONDS = 900.0


def require(packages: Sequence[str], install: bool) -> None:
    """Install packages; Failure when there is no consent, no root, or no APT."""
    names = " ".join(packages)
    if not install:
        raise Failure(
            say("not installed: %s", names), remedy=say("inv sandbox.up --install, or apt-get install %s", names)
        )
    if os.getuid() != 0:
        raise Failure(
            say("not installed, and installing needs root: %s", names),
            remedy=Printed(sh("sudo", "apt-get", "install", *packages)),
        )
    if not shutil.which("apt-get"):
        raise Failure(
            say("not installed, and this is neither Debian nor Ubuntu: %s", names), remedy=say("install them by hand")
        )
    _apt_get("update")
    plain = [name for name in packages if name != "docker-compose"]
    if plain:
        _apt_get("install", "--yes", "--no-install-recommends", *plain)
    if "docker-compose" in packages:
        _install_compose()


def mirror() -> str:
    """Return the address of the Debian archive that this machine installs from, else Debian's own."""
    if not shutil.which("apt-get"):
        return ARCHIVE
    shown = run("apt-get", "indextargets", "Created-By: Packages", "--format", "$(ORIGIN)\t$(LABEL)\t$(REPO_URI)")
    found = [line.split("\t") for line in shown.splitlines()]
    return next((uri.rstrip("/") for origin, label, uri in found if (origin, label) == ("Debian", "Debian")), ARCHIVE)


def _install_compose() -> None:
    """Install Compose v2, under the name that the distribution's release gives it."""
    if _candidate("docker-compose-v2"):
        _apt_get("install", "--yes", "--no-install-recommends", "docker-compose-v2")
    elif _candidate("docker-compose").startswith("2"):
        _apt_get("install", "--yes", "--no-install-recommends", "docker-compose")
    elif platform.freedesktop_os_release()["ID"] == "debian":
        _take_compose_from_trixie()
    else:
        raise Failure(
            say("this release has no package of Compose v2"), remedy=say("install it from docs.docker.com/compose")
        )


def _take_compose_from_trixie() -> None:
    """Install Debian 13's Compose, one static program, and let nothing else come from there."""
    source = f"Types: deb\nURIs: {mirror()}\nSuites: trixie\nComponents: main\nSigned-By: {KEYRING}\n"
    PIN.write_text("Package: *\nPin: release n=trixie\nPin-Priority: 50\n", encoding="utf-8")
    SOURCES.write_text(source, encoding="utf-8")
    _apt_get("update")
    _apt_get("install", "--yes", "--no-install-recommends", "--target-release", "trixie", "docker-compose")


def _candidate(package: str) -> str:
    """Return the version that would be installed; empty when there is none."""
    shown = run("apt-cache", "policy", package, env=QUIETLY)
    found = [line.split(":", 1)[1].strip() for line in shown.splitlines() if line.startswith("  Candidate:")]
    return found[0] if found and found[0] != "(none)" else ""


def _apt_get(*arguments: str) -> None:
    run("apt-get", "--quiet", *arguments, env=QUIETLY, timeout=INSTALL_SECONDS)
