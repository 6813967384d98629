"""The database's dumps on the host, as it tells them."""

from collections import defaultdict
from dataclasses import dataclass

from deploy import remedies, shell
from deploy.errors import Exit, Failure
from deploy.message import Message, Printed, Told, counted, say
from deploy.state import container, kept


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
                say("there is no backup in %s", self.folder),
                remedy=remedies.make_dump(target),
                code=Exit.REFUSED,
            )
        if wanted in self.damaged:
            raise Failure(
                say("what is known of the backup %s is damaged: %s/%s.about", wanted, self.folder, wanted),
                remedy=remedies.choose_dump(self._ids),
                code=Exit.REFUSED,
            )
        for backup in self.all:
            if wanted in ("", backup.id):
                return backup
        raise Failure(say("there is no backup %s", wanted), remedy=remedies.choose_dump(self._ids), code=Exit.USAGE)

    @property
    def _ids(self) -> tuple[str, ...]:
        return tuple(backup.id for backup in self.all)


def place(folder: str) -> Told:
    """Say where they go: the setting backup.dir, or below the clone."""
    return Printed(folder) if folder else say(".git/hot-update/backups in the clone")


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
        raise Failure(say("the host did not tell its backups"), remedy=remedies.RUN_AGAIN) from None
    found = {run: _backup(run, facts) for run, facts in about.items()}
    whole = tuple(backup for backup in found.values() if backup)
    return Backups(folder, moment, whole, tuple(run for run, backup in found.items() if not backup))


def age(seconds: int) -> Message:
    """Say an age in its largest unit: 3 hours."""
    if seconds >= 2 * 86400:
        return say("%s days", seconds // 86400)
    if seconds >= 2 * 3600:
        return say("%s hours", seconds // 3600)
    if seconds >= 2 * 60:
        return say("%s minutes", seconds // 60)
    return counted(max(seconds, 0), "%s second", "%s seconds")


def size(number: int) -> Message:
    """Say a number of bytes in the largest unit that it fills: 1.5 MiB."""
    if number < 1024:
        return say("%s bytes", number)
    if number < 1024**2:
        return say("%s KiB", f"{number / 1024:.1f}")
    if number < 1024**3:
        return say("%s MiB", f"{number / 1024**2:.1f}")
    return say("%s GiB", f"{number / 1024**3:.1f}")


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
