"""The database's dumps on the host, as it tells them."""

from collections import defaultdict
from dataclasses import dataclass

from deploy import remedies, shell
from deploy.errors import Exit, Failure

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

    def find(self, wanted: str) -> Backup:
        """Give the dump of this id, or the newest; Failure names those that exist."""
        if not self.all:
            raise Failure(
                f"there is no backup in {self.folder}",
                remedy=remedies.MAKE_DUMP,
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
        if kind == "now":
            now, folder = fields
        else:
            run, name, value = fields
            about[run][name] = value
    if not now:
        raise Failure("the host did not tell its backups")
    return Backups(folder, int(now), tuple(_backup(run, facts) for run, facts in about.items()))


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


def _backup(run: str, facts: dict[str, str]) -> Backup:
    return Backup(run, int(facts["time"]), int(facts["bytes"]), tuple(facts["revision"].split()), facts["code"])
