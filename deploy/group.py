"""What a run of several hosts does next, decided from what each has told. No host knows of the others.

All take their locks, in the order of their names, then prove the release; who migrates a database does so before
anybody else changes anything, and all are confirmed when all are proven. When one fails, none is.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil
from typing import Literal, TypeVar

from deploy.settings import Group

# What a host is told: to go on from a point where it waits (before the lock, before the first step, before the first
# that changes something), to confirm, or to undo.
Word = Literal["lock", "start", "apply", "confirm", "undo"]
# Steps that change nothing that serves; before the first other one all hosts have to be as far.
BEFOREHAND = ("build", "backup", "proof")

_Cell = TypeVar("_Cell")


@dataclass(frozen=True)
class Part:
    """A host's part of the run, as far as it has told, and what it was `told`.

    `held` is the point where it waits. `migrates`: others rely on its migration. `dumps`: its dump has to be whole
    before anybody's proof, which could write to the database. `good`: it ended well; None: it has not ended. `failed`:
    it is not going to be confirmed, and sees to its undo by itself.
    """

    name: str
    migrates: bool = False
    dumps: bool = False
    begun: bool = False
    held: str = ""
    locked: bool = False
    dumped: bool = False
    migrated: bool = False
    proven: bool = False
    good: bool | None = None
    failed: bool = False
    told: frozenset[Word] = frozenset()

    def hear(self, kind: str, fields: Sequence[str]) -> "Part":
        """Learn from an event of its journal."""
        match kind, *fields:
            case "run", *_:
                return replace(self, begun=True)
            case "holding", point, *_:
                return replace(self, held=point)
            case "locked", *_:
                return replace(self, locked=True, held="")
            case "begin", *_:
                return replace(self, held="")
            case "end", "backup", "0", *_:
                return replace(self, dumped=True)
            case "end", "migrate", "0", *_:
                return replace(self, migrated=True)
            case "undo", *_:
                return replace(self, failed=True, held="")
            case "done", outcome, *_:
                return replace(self, good=outcome == "done", failed=self.failed or outcome != "done", held="")
        return self

    @property
    def ready(self) -> bool:
        """Has it come to where it changes something, or further?"""
        return self.held == "apply" or "apply" in self.told or self.good is True


def points(steps: Iterable[str]) -> dict[str, str]:
    """Say where a run of these steps waits for the others, by the name of the step that comes next."""
    names = list(steps)
    first = next((name for name in names if name.partition("@")[0] not in BEFOREHAND), "")
    found = {names[0]: "start"} if names else {}
    return found | ({first: "apply"} if first else {})


def dumps_first(steps: Sequence[str]) -> bool:
    """Tell whether a run of these steps dumps the database before it proves the release."""
    return "backup" in steps and "proof" in steps[steps.index("backup") :]


def next_words(
    parts: Iterable[Part], batches: Sequence[Sequence[str]], *, stop: bool = False
) -> list[tuple[str, Word]]:
    """Decide whom to tell what now; of the batches, each is confirmed before the next one begins.

    Where one has failed, or everything is to `stop`, whatever is not over is undone.
    """
    there = {part.name: part for part in parts}
    if stop or any(part.failed for part in there.values()):
        running = [part for part in there.values() if part.begun and part.good is None and not part.failed]
        return [(part.name, "undo") for part in running if not part.told & {"undo", "confirm"}]
    for name in sorted(there):
        if not there[name].locked:
            return _tell([there[name]], "lock")
    for batch in batches:
        now = [there[name] for name in batch if name in there]
        if any(part.good is None for part in now):
            return _next_of(now)
    return []


def _next_of(batch: Sequence[Part]) -> list[tuple[str, Word]]:
    dumping = [part for part in batch if part.dumps and not part.dumped]
    words = _tell(dumping or batch, "start")
    if all(part.ready for part in batch):
        first = [part for part in batch if part.migrates]
        done = all(part.migrated or part.good for part in first)
        words += _tell(batch if done else first, "apply")
    if all(part.proven or part.good for part in batch):
        words += [(part.name, "confirm") for part in batch if part.proven and "confirm" not in part.told]
    return words


def _tell(parts: Iterable[Part], word: Word) -> list[tuple[str, Word]]:
    return [(part.name, word) for part in parts if part.held == word and word not in part.told]


def in_batches(names: Sequence[str], group: Group) -> tuple[tuple[str, ...], ...]:
    """Divide the hosts as the group says: into one batch where all are confirmed together; the canary goes first."""
    if group.commit == "together":
        return (tuple(names),)
    first = tuple(name for name in names if group.canary and name == group.canary.target)
    rest = [name for name in names if name not in first]
    size = _size(group.batch, len(names))
    batches = (tuple(rest[at : at + size]) for at in range(0, len(rest), size))
    return tuple(filter(None, (first, *batches)))


def _size(batch: int | str, hosts: int) -> int:
    text = str(batch)
    if text == "all":
        return hosts
    return max(1, ceil(hosts * int(text[:-1]) / 100)) if text.endswith("%") else int(text)


def migrators(databases: Mapping[str, str], batches: Sequence[Sequence[str]]) -> frozenset[str]:
    """Choose, for each database, the first host that has it; by the hosts' names, what tells its server and it apart.

    One that nothing is known of is its host's alone.
    """
    chosen: dict[str, str] = {}
    for name in (name for batch in batches for name in batch if name in databases):
        chosen.setdefault(databases[name] or f"of {name}", name)
    return frozenset(chosen.values())


def back_to(confirmed: Mapping[str, Sequence[str]], running: Mapping[str, str], before: str) -> str:
    """Choose the release that a rollback brings all to, of those that all have had; nothing where there is none.

    Where all run the same it is the one `before`; else the oldest that one of them runs, which makes them equal.
    `confirmed` are each host's releases, the newest first.
    """
    had = [{*releases, running[name]} for name, releases in confirmed.items()]
    common = set.intersection(*had) - {""} if had else set()
    if len(set(running.values())) == 1:
        return before if before in common else ""
    known = [revision for releases in confirmed.values() for revision in releases]
    order = [revision for revision in dict.fromkeys((*known, *running.values())) if revision in common]
    now = [revision for revision in order if revision in running.values()]
    return now[-1] if now else next(iter(order), "")


def unusual(rows: Sequence[Sequence[_Cell]]) -> list[frozenset[int]]:
    """Say of each row in which columns it differs from what most rows have there; of as many, from what comes first."""
    usual = []
    for column in zip(*rows, strict=True):
        counts = {cell: sum(1 for other in column if other == cell) for cell in column}
        usual.append(max(counts, key=lambda cell: counts[cell]))
    return [frozenset(at for at, cell in enumerate(row) if cell != usual[at]) for row in rows]
