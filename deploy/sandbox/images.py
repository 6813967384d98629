"""The images: Debian, what is installed on it for each service, and the production image of a sandbox.

The first two are kept for the next sandbox. Everything is built by the classic builder, which any engine has.
"""

import fcntl
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from deploy.errors import Failure
from deploy.message import Printed, Told, say
from deploy.sandbox import apt
from deploy.sandbox.command import run, tail, works
from deploy.sandbox.home import Sandbox, home
from deploy.shell import sh

SERVICES = Path(__file__).parent / "services"
DEBIAN = "debian:bookworm-slim"
# A registry that is there has sent the image by then.
PULL_SECONDS = 90.0
BUILD_SECONDS = 1800.0
CLASSIC_BUILDER = {"DOCKER_BUILDKIT": "0"}
# On the production image; its value is the sandbox's folder.
LABEL = "whalefall.sandbox"


def dependencies(services: Iterable[str], install: bool, tell: Callable[[Told], None]) -> dict[str, str]:
    """Make sure that the images of these services are there, and name them; they are shared by all sandboxes."""
    with _one_at_a_time():
        tags = {service: _tag(SERVICES / service) for service in services}
        missing = [service for service in tags if not exists(tags[service])]
        if missing and not exists(DEBIAN):
            _get_debian(install, tell)
        for service in missing:
            tell(say("building the image of %s (once on this machine, about a minute)", service))
            _build("--tag", tags[service], SERVICES / service)
    return tags


def production(sandbox: Sandbox, base: str) -> None:
    """Build the production image from the deployment clone."""
    _build(
        "--file", sandbox.path / sandbox.shape.dockerfile, "--build-arg", f"BASE_IMAGE={base}",
        "--label", f"{LABEL}={sandbox.root}", "--tag", sandbox.image, sandbox.path,
    )  # fmt: skip


def tag(image: str, another: str) -> None:
    """Give an image another name too."""
    run("docker", "tag", image, another)


def remove_production(root: Path) -> None:
    """Remove the production images of the sandbox in this folder."""
    found = run("docker", "images", "--quiet", "--filter", f"label={LABEL}={root}").split()
    if found:
        run("docker", "rmi", "--force", *dict.fromkeys(found))


def exists(tag: str) -> bool:
    """Tell whether the engine has this image."""
    return works("docker", "image", "inspect", tag)


def _build(*arguments: str | Path) -> None:
    run("docker", "build", *arguments, env=CLASSIC_BUILDER, timeout=BUILD_SECONDS)


def _tag(folder: Path) -> str:
    """Name an image after everything that it is built from."""
    content = hashlib.sha256()
    for path in sorted(folder.iterdir()):
        content.update(f"{path.name}\0{path.stat().st_size}\0".encode() + path.read_bytes())
    return f"whalefall-sandbox-{folder.name}:{content.hexdigest()[:12]}"


def _get_debian(install: bool, tell: Callable[[Told], None]) -> None:
    tell(say("pulling %s", DEBIAN))
    if works("docker", "pull", "--quiet", DEBIAN, timeout=PULL_SECONDS):
        return
    tell(say("no registry answers: making the image from Debian's packages (about a minute)"))
    if os.getuid() != 0:
        raise Failure(
            say("%s cannot be pulled, and making it needs root", DEBIAN), remedy=Printed(sh("docker", "pull", DEBIAN))
        )
    if not works("debootstrap", "--version"):
        apt.require(["debootstrap"], install)
    with tempfile.TemporaryDirectory(prefix="whalefall-debian-") as made:
        run("debootstrap", "--variant=minbase", "bookworm", made, apt.mirror(), timeout=BUILD_SECONDS)
        _import(Path(made))


def _import(filesystem: Path) -> None:
    with subprocess.Popen(["tar", "-C", filesystem, "-c", "."], stdout=subprocess.PIPE) as tar:
        imported = subprocess.run(
            ["docker", "import", "-", DEBIAN], stdin=tar.stdout, capture_output=True, text=True, check=False
        )
    if tar.returncode or imported.returncode:
        raise Failure(say("making %s failed", DEBIAN), evidence=tail(imported.stderr, 3))


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    """Let two sandboxes that come up at once build the shared images once."""
    home().mkdir(exist_ok=True)
    folder = os.open(home(), os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)
