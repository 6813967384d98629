"""What is built on the laptop for a release: found or made there, and handed to the host, which keeps it."""

import hashlib
import os
import subprocess
import tarfile
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from deploy import remedies, shell
from deploy.builds import Build
from deploy.errors import Exit, Failure
from deploy.host import Host
from deploy.message import Message, Printed, Told, say
from deploy.settings import Settings
from deploy.state import variables

# Where a build says what it is made from.
SOURCES = ".sources"
LAST_LINES = 5


def check(settings: Settings, one: Build, commit: str) -> None:
    """Refuse where the laptop cannot give what is built from the commit's sources."""
    clone = clone_of(settings)
    folder = clone / one.built.path
    if one.built.command:
        if _git(clone, "cat-file", "-e", f"{commit}^{{commit}}", check=False) is None:
            lacks = say("the clone %s lacks %s", str(clone), commit[:7])
            raise _refused(one, lacks, Printed(shell.sh("git", "-C", str(clone), "fetch")))
        return
    if not folder.is_dir():
        raise _refused(one, say("%s is not there", str(folder)), remedies.build_or_keep(str(folder)))
    if why := _unproven(clone, folder, one):
        raise _refused(one, why, remedies.build_or_keep(str(folder)))


def made(settings: Settings, one: Build, commit: str) -> bytes:
    """Give what the laptop has or makes, as a tar; Failure where that fails."""
    with _built(settings, one, commit) as folder:
        return _tar(folder)


def deliver(host: Host, settings: Settings, one: Build, tar: bytes) -> None:
    """Have the host keep it, by the digest of its sources; Failure where it does not."""
    script = shell.script(
        "trees.sh",
        "built.sh",
        "take.sh",
        **variables(settings),
        name=one.name,
        digest=one.sources.target,
        expected=hashlib.sha256(tar).hexdigest(),
    )
    answer = host.run(script, stdin=tar)
    if answer.status:
        evidence = tuple(map(Printed, answer.stderr.strip().split("\n")[-LAST_LINES:]))
        fact = say("the host did not take what is built of %s, nothing was changed", one.name)
        raise Failure(fact, evidence=evidence, code=Exit.REFUSED)


@contextmanager
def _built(settings: Settings, one: Build, commit: str) -> Iterator[Path]:
    """Give the folder; a command makes it in a checkout that is gone afterwards."""
    clone = clone_of(settings)
    if not one.built.command:
        yield clone / one.built.path
        return
    with tempfile.TemporaryDirectory(prefix="hot-update-") as place:
        archive = _git(clone, "archive", commit)
        with tarfile.open(fileobj=BytesIO(archive or b"")) as tar:
            tar.extractall(place, filter="tar")
        _run(one, place)
        folder = Path(place, one.built.path)
        if not folder.is_dir():
            raise _refused(one, say("%s made no folder %s", one.built.command, one.built.path), None)
        yield folder


def _run(one: Build, place: str) -> None:
    try:
        ended = subprocess.run(
            ("sh", "-c", one.built.command), cwd=place, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=one.built.timeout, check=False,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        fact = say("%s did not end within %s s", one.built.command, one.built.timeout)
        raise _refused(one, fact, None) from error
    if ended.returncode:
        lines = ended.stdout.decode("utf-8", "replace").strip().split("\n")[-LAST_LINES:]
        fact = say("%s ended with %s", one.built.command, ended.returncode)
        raise Failure(_fact(one, fact), evidence=tuple(map(Printed, lines)), code=Exit.REFUSED)


def _unproven(clone: Path, folder: Path, one: Build) -> Message | None:
    """Say why nothing shows that the folder is built from the commit's sources; nothing where something does."""
    if (folder / SOURCES).exists():
        told = (folder / SOURCES).read_text(encoding="utf-8", errors="replace").strip()
        return None if told == one.sources.target else say("%s was built from other sources", str(folder))
    pathspecs = one.built.pathspecs
    listed = _git(clone, "ls-files", "-s", "-z", "--", *pathspecs, check=False) or b""
    digest = _git(clone, "hash-object", "--stdin", stdin=listed, check=False) or b""
    if (
        digest.decode().strip() != one.sources.target
        or _git(clone, "diff", "--quiet", "--", *pathspecs, check=False) is None
    ):
        return say("%s has other sources than the release", str(clone))
    names = (os.fsdecode(name) for name in (_git(clone, "ls-files", "-z", "--", *pathspecs) or b"").split(b"\0"))
    newest = max((file.stat().st_mtime for file in folder.rglob("*") if file.is_file()), default=0.0)
    newer = any((clone / name).lstat().st_mtime > newest for name in names if name)
    return say("%s is older than its sources", str(folder)) if newer else None


def _tar(folder: Path) -> bytes:
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as tar:
        tar.add(folder, arcname=".", filter=lambda entry: None if entry.name == f"./{SOURCES}" else entry)
    return packed.getvalue()


def clone_of(settings: Settings) -> Path:
    return Path(settings.git.clone or ".").expanduser().absolute()


def _git(clone: Path, *words: str, stdin: bytes = b"", check: bool = True) -> bytes | None:
    """Run git in the clone and return what it printed; nothing where it failed, and that may be."""
    try:
        ended = subprocess.run(("git", "-C", str(clone), *words), input=stdin, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise Failure(say("git is not installed here"), code=Exit.REFUSED) from error
    if ended.returncode and check:
        evidence = tuple(map(Printed, ended.stderr.decode("utf-8", "replace").strip().split("\n")[-LAST_LINES:]))
        raise Failure(say("git failed in %s, nothing was changed", str(clone)), evidence=evidence, code=Exit.REFUSED)
    return None if ended.returncode else ended.stdout


def _fact(one: Build, why: Message) -> Message:
    return say("refused, nothing was changed: %s: %s", one.name, why)


def _refused(one: Build, why: Message, remedy: Told | None) -> Failure:
    return Failure(_fact(one, why), remedy=remedy, code=Exit.REFUSED)
