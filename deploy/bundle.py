"""The commits that a host lacks, brought from the laptop's own clone: fetched there, packed into a git bundle."""

import hashlib
import os
import re
import signal
import subprocess
import tempfile
import time
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock

from deploy import remedies, shell
from deploy.building import clone_of
from deploy.errors import Exit, Failure
from deploy.message import Printed, Told, say
from deploy.settings import Settings
from deploy.state import State

_CREDENTIALS = re.compile(r"://[^/\s'\"]*@")
# What would lead git to another repository, or to a window that asks for a password.
_LEFT_OUT = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_ASKPASS", "SSH_ASKPASS")


@dataclass(frozen=True)
class Offer:
    """What the laptop has to give: the `tip` of the remote's branch, later the `bundle` of what a host lacks of it.

    Where there is nothing to give, `failure` says why. `remedy` is for a host that cannot take it.
    """

    tip: str = ""
    bundle: bytes = b""
    failure: Failure | None = None
    remedy: Told = remedies.RUN_AGAIN

    @property
    def sum(self) -> str:
        """What tells the host that the bundle came whole."""
        return hashlib.sha256(self.bundle).hexdigest() if self.bundle else ""


_one_at_a_time = Lock()
# By what was fetched: when that began, and what came of it.
_fetched: dict[tuple[str, ...], tuple[float, Offer]] = {}


def fetched(settings: Settings) -> Offer:
    """Fetch the branch in the laptop's clone; of several who ask meanwhile, for as many hosts, one fetch is for all."""
    asked = time.monotonic()
    key = str(clone_of(settings)), settings.git.remote, settings.git.branch
    with _one_at_a_time:
        began, offer = _fetched.get(key, (0.0, Offer()))
        if began < asked:
            began, offer = time.monotonic(), _offer(settings)
            _fetched[key] = began, offer
    return offer


def lacking(answer: str) -> bool:
    """Does the host lack what was offered? Then its answer is only what it has."""
    return answer.startswith("lacks\t")


def packed(settings: Settings, offer: Offer, answer: str) -> Offer:
    """Pack what the host lacks, by its answer."""
    try:
        return _packed(settings, offer, answer)
    except Failure as failure:
        return replace(offer, tip="", failure=failure)


def told(state: State, offer: Offer) -> State:
    """Say in a state what became of the offer, as of a fetch."""
    repository = state.repository
    if offer.failure:
        repository = replace(repository, fetch_problem=offer.failure.fact, fetch_remedy=offer.failure.remedy)
    elif repository.fetch_problem:
        repository = replace(repository, fetch_remedy=offer.remedy)
    return replace(state, repository=repository)


def _offer(settings: Settings) -> Offer:
    git, clone = settings.git, clone_of(settings)
    tracking = f"refs/remotes/{git.remote}/{git.branch}"
    try:
        refspec = f"+refs/heads/{git.branch}:{tracking}"
        words = ("fetch", "-q", "--no-tags", "--no-recurse-submodules", git.remote, refspec)
        remedy = remedies.see_clone(str(clone), git.remote)
        _git(clone, *words, timeout=git.fetch_timeout, remedy=remedy)
        return Offer(_git(clone, "rev-parse", f"{tracking}^{{commit}}").decode().strip())
    except Failure as failure:
        return Offer(failure=failure)


def _packed(settings: Settings, offer: Offer, answer: str) -> Offer:
    git, clone = settings.git, clone_of(settings)
    rows: dict[str, list[str]] = defaultdict(list)
    for kind, commit in shell.records(answer):
        rows[kind].append(commit)
    # What the host has may be unknown here: what was committed there, or is gone from the remote.
    known, ends = _commits(clone, rows["known"]), _commits(clone, rows["shallow"])
    shallow = _git(clone, "rev-parse", "--is-shallow-repository").strip() == b"true"
    deepen = remedies.deepen(str(clone), git.remote) if shallow else None
    if rows["known"] and not known:
        fact = say("%s has no commit in common with the clone on the host", str(clone))
        raise Failure(fact, remedy=deepen or remedies.SET_CLONE, code=Exit.REFUSED)
    with tempfile.TemporaryDirectory(prefix="hot-update-") as folder:
        bundle, history = Path(folder, "bundle"), Path(folder, "shallow")
        surroundings = {}
        if ends:
            # Where the host's history ends, it lacks what comes before, though that is older.
            own = Path(clone, os.fsdecode(_git(clone, "rev-parse", "--git-path", "shallow").strip()))
            history.write_bytes((own.read_bytes() if shallow else b"") + "".join(f"{one}\n" for one in ends).encode())
            surroundings["GIT_SHALLOW_FILE"] = str(history)
        branch = f"refs/remotes/{git.remote}/{git.branch}"
        words = ("bundle", "create", str(bundle), branch, *(f"^{commit}" for commit in known))
        _git(clone, *words, surroundings=surroundings)
        # The branch may have moved since it was fetched.
        tip = _git(clone, "bundle", "list-heads", str(bundle)).split()[0].decode()
        return Offer(tip, bundle.read_bytes(), remedy=deepen or offer.remedy)


def _commits(clone: Path, ids: list[str]) -> list[str]:
    """Which of these the laptop's clone has; it does not look for the others at its remote."""
    asked = "".join(f"{one}\n" for one in ids).encode()
    words = ("cat-file", "--batch-check=%(objecttype) %(objectname)")
    found = _git(clone, *words, stdin=asked, surroundings={"GIT_NO_LAZY_FETCH": "1"}).decode().splitlines()
    return [line.removeprefix("commit ") for line in found if line.startswith("commit ")]


def _git(
    clone: Path,
    *words: str,
    stdin: bytes = b"",
    timeout: int | None = None,
    surroundings: dict[str, str] | None = None,
    remedy: Told | None = None,
) -> bytes:
    """Run git in the laptop's clone, which asks nobody for anything, and return what it printed."""
    environment = {name: value for name, value in os.environ.items() if name not in _LEFT_OUT}
    environment |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "SSH_ASKPASS_REQUIRE": "never", **(surroundings or {})}
    command = (
        "git",
        "-C",
        str(clone),
        "-c",
        "core.askPass=",
        "-c",
        "gc.auto=0",
        "-c",
        "maintenance.auto=false",
        *words,
    )
    try:
        status, printed, complaint = _run(command, environment, stdin, timeout)
    except FileNotFoundError as error:
        raise Failure(say("git is not installed here"), code=Exit.REFUSED) from error
    except subprocess.TimeoutExpired as error:
        raise _failed(words[0], clone, say("no answer within %s s", error.timeout), remedy) from error
    if status:
        raise _failed(words[0], clone, _cause(complaint), remedy)
    return printed


def _run(
    command: tuple[str, ...], environment: dict[str, str], stdin: bytes, timeout: int | None
) -> tuple[int, bytes, bytes]:
    """Run it without a terminal, where ssh would ask; in the end nothing is left of what it started."""
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, env=environment, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True
    ) as process:
        try:
            printed, complaint = process.communicate(stdin, timeout)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            raise
    return process.returncode, printed, complaint


def _failed(verb: str, clone: Path, why: Told, remedy: Told | None) -> Failure:
    return Failure(say("git %s failed in %s: %s", verb, str(clone), why), remedy=remedy, code=Exit.REFUSED)


def _cause(complaint: bytes) -> Told:
    """Of what git complained, what tells the cause: the last line that names an error, and what led to it."""
    lines = [line for line in complaint.decode("utf-8", "replace").splitlines() if line.strip()]
    errors = [number for number, line in enumerate(lines, 1) if line.startswith(("fatal:", "error:"))]
    shown = " ".join(lines[: errors[-1] if errors else None][-3:])
    return Printed(_CREDENTIALS.sub("://***@", shown)) if shown else say("it said nothing")
