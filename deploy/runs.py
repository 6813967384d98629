"""The laptop's half of a run: lay it out, start it on the host, follow its journal.

The host carries a run out by itself (runner.sh); whoever follows may leave at any time and come back.
"""

import hashlib
import re
import tarfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from io import BytesIO
from types import MappingProxyType
from typing import Literal, Protocol

from deploy import answers, inside, remedies, shell
from deploy.errors import Failure
from deploy.message import say

Variables = Mapping[str, shell.Variable]
Choice = Literal["confirm", "undo"]

# What runner.sh expects of the variables.
RUNNER = ("path", "env_file", "secret_words", "secret_keys", "secret_min_length")

# How many fields the followers of a run rely on, by the kind of event.
FIELDS = {
    "run": 4,
    "refused": 5,
    "took-over": 4,
    "resumed": 2,
    "changed": 3,
    "begin": 1,
    "line": 2,
    "message": 2,
    "end": 2,
    "holding": 1,
    "confirming": 1,
    "confirmed": 1,
    "undo": 2,
    "undo-begin": 1,
    "undo-end": 2,
    "damaged": 2,
    "unwritten": 1,
    "differs": 3,
    "schema": 2,
    "unseen": 2,
    "done": 1,
    "gone": 1,
    "none": 1,
}

# How long a run waits for others where nobody has to confirm it.
HOLD_SECONDS = 120

# After these nothing more comes: the run's outcome; its harness died without one; there is no such run.
LAST = ("done", "gone", "none")

_CLOCK = re.compile(r"[0-9]{8}T[0-9]{6}")
_NUMBER = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?")


class Host(Protocol):
    """What is asked of a host here: its output while it comes, line by line."""

    def stream(self, script: str, *, stdin: bytes) -> AbstractContextManager[Iterator[str]]: ...


class Step(Protocol):
    """A step as the harness needs it: complete Bash, and the seconds it may take."""

    @property
    def name(self) -> str: ...
    @property
    def script(self) -> str: ...
    @property
    def timeout(self) -> int: ...
    @property
    def undo(self) -> str: ...
    @property
    def harmless(self) -> bool: ...
    @property
    def beside(self) -> bool: ...
    @property
    def early(self) -> bool: ...


@dataclass(frozen=True)
class Event:
    """One record of a journal. `at` is in seconds since the epoch, by the host's clock; `line` is its line there.

    Kinds and fields: run RUN VERB OPERATOR REVISION · refused RUN VERB OPERATOR PID START (the holder's; empty:
    unknown) · locked · took-over RUN OPERATOR START REASON · resumed RUN OUTCOME (what was taken over is finished) ·
    resume RUN (of the run itself: by which other) · changed NAME WAS NOW · begin STEP · line STEP TEXT (what another
    program printed) · message STEP MESSAGE · end STEP STATUS [REASON] · confirming SECONDS · confirmed WHO · undo STEP
    STATUS [REASON] · undo-begin STEP · undo-end STEP STATUS · damaged FILE HOW (it is ours, and passed over) ·
    unwritten WHAT (the disk did not take it) · differs NAME WAS NOW, schema came|went|changed WHAT, unseen WHAT WHY (of
    what was seen under the lock and again at the end) · done OUTCOME [STEP STATUS [REASON]] with the outcomes done,
    refused (nothing was changed), altered (nothing was to be changed, and yet something differs), undone (and as
    healthy as before), undone-ill, failed (nothing could be undone), changed, locked and abandoned (its harness died,
    and its files with it).
    Of the follower itself: gone TEXT (the harness died; its last words) · none RUN (no such run).
    """

    at: float
    kind: str
    fields: tuple[str, ...]
    line: int = field(default=0, compare=False)


def new_run_id(clock: str, token: str) -> str:
    """Name a run by the host's clock, as the host told it: names sort by age. `token` tells two plans apart."""
    if not _CLOCK.fullmatch(clock):
        raise Failure(say("the host did not tell its clock"), remedy=remedies.RUN_AGAIN)
    return f"{clock}-{token}"


def files_of(
    steps: Iterable[Step],
    about: Mapping[str, str],
    guard_script: str,
    guard_expected: str,
    variables: Variables,
    *,
    confirm: int = 0,
    patience: int = 0,
    holds: Mapping[str, str] = MappingProxyType({}),
    asides: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """Lay out what a run needs on the host, by path in its folder.

    `about` has at least verb and operator; what `guard_script` prints must equal `guard_expected`, name/value records;
    it is run again, with the word `after` for `before`, where a run says that things are as they were;
    `variables` are those of runner.sh. `confirm` is in seconds, 0 where nobody has to, and so is `patience`, how long
    to wait for the lock; `holds` are the points, by the names of the steps that come after them, where a part of
    several hosts' run waits for the others, which it then does before it takes the lock too; `asides` are settle.sh,
    revive.sh, prove.sh and proven.sh, where a run can be undone.
    """
    own = {name: variables[name] for name in RUNNER}
    files = {
        "runner.sh": shell.script("redact.sh", "schema.sh", "runner.sh", **own),
        "about": "".join(f"{shell.record(name, value)}\n" for name, value in about.items()),
        "guard.sh": guard_script,
        "guard.expected": guard_expected,
        "patience": f"{patience}\n",
        # What containers.sh reads when a script runs something inside.
        "program.sh": shell.assign(**inside.variables()),
    }
    files |= asides
    if confirm:
        files["confirm"] = f"{confirm}\n"
    if holds:
        files["hold"] = f"{confirm or HOLD_SECONDS}\n"
    for number, step in enumerate(steps, start=1):
        stem = f"steps/{number:02}-{step.name}"
        files[f"{stem}.sh"] = step.script
        files[f"{stem}.timeout"] = f"{step.timeout}\n"
        if step.undo:
            files[f"{stem}.undo.sh"] = step.undo
        for mark in ("harmless", "beside", "early"):
            if getattr(step, mark):
                files[f"{stem}.{mark}"] = ""
        if step.name in holds:
            files[f"{stem}.hold"] = f"{holds[step.name]}\n"
    return files


def _sums(files: Mapping[str, str]) -> str:
    """Say what the files are, as sha256sum reads it: whoever finishes a run has to know that these are still they."""
    return "".join(f"{hashlib.sha256(_encoded(text)).hexdigest()}  {name}\n" for name, text in files.items())


def _encoded(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def payload(files: Mapping[str, str]) -> bytes:
    """Pack files and their sums into a tar, the same bytes for the same files."""
    packed = BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, text in {"sums": _sums(files), **files}.items():
            content = _encoded(text)
            entry = tarfile.TarInfo(name)
            entry.mode = 0o600
            entry.size = len(content)
            tar.addfile(entry, BytesIO(content))
    return packed.getvalue()


@contextmanager
def start(host: Host, variables: Variables, run_id: str, files: Mapping[str, str]) -> Iterator[Iterator[Event]]:
    """Start a run and give its events as they come; without an id it gets one. Leaving early does not stop the run."""
    script = shell.script("redact.sh", "launch.sh", "follow.sh", **{**variables, "run": run_id, "from": 1})
    with host.stream(script, stdin=payload(files)) as lines:
        yield _events(lines, 1)


def decide(host: Host, variables: Variables, run_id: str, choice: Choice, who: str, probe: str = "") -> tuple[str, str]:
    """Confirm a run or have it undone; who decides first, decides. Returns the choice that counts, and whose it is.

    `probe` goes into the history: requests, failed ones, longest gap and slowest request in seconds.
    """
    asked = {"run": run_id, "choice": choice, "who": who, "probe": probe}
    script = shell.script("decide.sh", **{**variables, **asked})
    with host.stream(script, stdin=b"") as lines:
        told = tuple(lines)
    for decided, by in (record for line in told if len(record := shell.fields(line)) == 2):
        if decided in ("confirm", "undo", "ended"):
            return decided, by
    said = answers.first_lines("\n".join(told))
    raise Failure(say("the host did not say what was decided of the run"), evidence=said, remedy=remedies.RUN_AGAIN)


def go(host: Host, variables: Variables, run_id: str, point: str = "") -> None:
    """Tell a run to go on from a point where it waits for others; without one, its time begins anew."""
    script = shell.script("go.sh", **{**variables, "run": run_id, "point": point})
    with host.stream(script, stdin=b"") as lines:
        for _ in lines:
            """It has nothing to tell."""


@contextmanager
def follow(host: Host, variables: Variables, run_id: str = "", first_line: int = 1) -> Iterator[Iterator[Event]]:
    """Give a run's events from a line of its journal on; without an id, those of the current run or the last one."""
    script = shell.script("redact.sh", "follow.sh", **{**variables, "run": run_id, "from": first_line})
    with host.stream(script, stdin=b"") as lines:
        yield _events(lines, first_line)


def _events(lines: Iterable[str], first: int) -> Iterator[Event]:
    """Read events until the last; without one in LAST at the end, the connection was lost."""
    for number, line in enumerate(lines, first):
        at, *rest = shell.fields(line)
        # A full disk or a crash leaves a line cut or empty.
        if not rest or not _NUMBER.fullmatch(at) or len(rest) <= FIELDS.get(rest[0], 0):
            continue
        kind, *fields = rest
        yield Event(float(at), kind, tuple(fields), number)
        if kind in LAST:
            return
