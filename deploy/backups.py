"""The database's dumps on the host, as it tells them."""

from collections import defaultdict
from dataclasses import dataclass

from deploy import remedies, shell
from deploy.errors import Exit, Failure
from deploy.state import container, kept

# Where they go unless backup.dir says otherwise.
FOLDER = ".git/hot-update/backups in the clone"
_SPANS = (("day", 86400), ("hour", 3600), ("minute", 60), ("second", 1))


@dataclass(frozen=True)
class Backup:
    """A whole dump. `id` is the run that made it, `made` is in seconds since the epoch, `code` what ran then."""

    id: str
    made: int
    bytes: int
    revisions: tuple[str, ...]
    code: str


@dataclass(frozen=True)
class Backups:
    """The dumps in a folder on the host, the newest first; `now` is the host's clock, in seconds since the epoch."""

    folder: str
    now: int
    all: tuple[Backup, ...]
    # The ids of those whose description is damaged: they are passed over, and never removed.
    damaged: tuple[str, ...] = ()

    def find(self, wanted: str, target: str) -> Backup:
        """Give the dump of this id, or the newest; Failure names those that exist."""
        if not self.all:
            raise Failure(
                f"there is no backup in {self.folder}",
                remedy=remedies.make_dump(target),
                code=Exit.REFUSED,
            )
        if wanted in self.damaged:
            raise Failure(
                f"what is known of the backup {wanted} is damaged: {self.folder}/{wanted}.about",
                remedy=remedies.choose_dump(", ".join(backup.id for backup in self.all)),
                code=Exit.REFUSED,
            )
        for backup in self.all:
            if wanted in ("", backup.id):
                return backup
        exist = ", ".join(backup.id for backup in self.all)
        raise Failure(f"there is no backup {wanted}", remedy=remedies.choose_dump(exist), code=Exit.USAGE)


def parse(answer: str) -> Backups:
    """Read what list.sh told."""
    now, folder = "", ""
    about: dict[str, dict[str, str]] = defaultdict(dict)
    for kind, *fields in shell.records(answer):
        match kind, fields:
            case "now", [now, folder, *_]:
                pass
            case "about", [run, name, value, *_]:
                about[run][name] = value
            case "about", [run, *_]:
                about[run] = about[run]
    try:
        moment = kept.when(now)
    except ValueError:
        raise Failure("the host did not tell its backups", remedy=remedies.RUN_AGAIN) from None
    found = {run: _backup(run, facts) for run, facts in about.items()}
    whole = tuple(backup for backup in found.values() if backup)
    return Backups(folder, moment, whole, tuple(run for run, backup in found.items() if not backup))


def age(seconds: int) -> str:
    """Say an age in its largest unit: 3 hours."""
    unit, length = next(((unit, length) for unit, length in _SPANS if seconds >= 2 * length), _SPANS[-1])
    return f"{max(seconds, 0) // length} {unit}s"


def size(number: int) -> str:
    """Say a number of bytes in the largest unit that it fills: 1.5 MiB."""
    amount = float(number)
    for unit in ("bytes", "KiB", "MiB"):
        if amount < 1024:
            return f"{amount:.1f} {unit}" if unit != "bytes" else f"{number} bytes"
        amount /= 1024
    return f"{amount:.1f} GiB"


def _backup(run: str, facts: dict[str, str]) -> Backup | None:
    """Read the description of a dump; nothing where that is damaged."""
    try:
        made, size = kept.when(facts["time"]), int(kept.number(facts["bytes"]))
        revisions, code = tuple(facts["revision"].split()), facts["code"]
    except (ValueError, KeyError):
        return None
    known = (
        kept.RUN.fullmatch(run) and kept.OBJECT.fullmatch(code) and all(map(container.REVISION.fullmatch, revisions))
    )
    return Backup(run, made, size, revisions, code) if known else None
