"""What a release changes, for whoever decides on it: commits, files, migrations; by what was read for a dry run."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from deploy import backups, migrations, risks
from deploy.message import Message, Printed, Told, counted, say
from deploy.plan import Plan
from deploy.settings import Settings
from deploy.state import Commit, Preview, Revision, State


@dataclass(frozen=True)
class Section:
    """Lines below a title; those that warn begin with a mark. `what` tells two apart whose lines differ by the hour."""

    title: Told
    lines: tuple[Told, ...]
    what: tuple[str, ...] = ()


def sections(settings: Settings, state: State, plan: Plan) -> tuple[Section, ...]:
    """Tell what a plan changes, one subject after the other; nothing where that was not read."""
    if state.preview is None:
        return ()
    found = [*_unknown(state), *_commits(state.preview), *_files(state, state.preview)]
    if state.chain and any(step.name == "migrate" for step in plan.steps):
        for revision in migrations.pending(settings, state.database, state.chain):
            found.append(_migration(settings, state.preview, revision))
    return tuple(found)


def together(found: Mapping[str, tuple[Section, ...]]) -> tuple[Section, ...]:
    """Tell what is the same on several hosts once, and of the rest on which of them."""
    alike: dict[object, tuple[Section, list[str]]] = {}
    for name, several in found.items():
        for one in several:
            alike.setdefault((one.title, one.what or one.lines), (one, []))[1].append(name)
    return tuple(
        one if len(names) == len(found) else replace(one, title=say("%s (on %s)", one.title, tuple(names)))
        for one, names in alike.values()
    )


def _unknown(state: State) -> Iterator[Section]:
    if not state.running:
        yield Section(say("every file comes: what runs is unknown, so commits are compared with the clone's"), ())


def _commits(preview: Preview) -> Iterator[Section]:
    titles = (
        counted(len(preview.coming), "%s commit comes", "%s commits come"),
        counted(len(preview.going), "%s commit goes", "%s commits go"),
    )
    for title, commits in zip(titles, (preview.coming, preview.going), strict=True):
        if commits:
            yield Section(title, tuple(map(_commit, commits)), tuple(one.id for one in commits))


def _commit(one: Commit) -> Message:
    return say("%s  %s  (%s)", one.id, one.subject, backups.age(one.age))


def _files(state: State, preview: Preview) -> Iterator[Section]:
    """Tell which files the container gets, as `git diff --stat` does, and which it loses."""
    came = [(status, name) for status, name in state.changes if status != "D"]
    gone = [name for status, name in state.changes if status == "D"]
    if came:
        counts = [preview.lines[name] for _, name in came if name in preview.lines]
        added, removed = (sum(pair[side] for pair in counts) for side in (0, 1))
        told = counted(len(came), "%s file comes or changes", "%s files come or change")
        yield Section(say("%s, +%s -%s", told, added, removed), tuple(_file(preview, *one) for one in came))
    if gone:
        told = counted(len(gone), "%s file is deleted", "%s files are deleted")
        yield Section(told, tuple(map(Printed, gone)))


def _file(preview: Preview, status: str, name: str) -> Told:
    if name not in preview.lines:
        return Printed(f"{status} {'':13}  {name}")
    added, removed = preview.lines[name]
    return Printed(f"{status} {f'+{added}':>6} {f'-{removed}':>6}  {name}")


def _migration(settings: Settings, preview: Preview, revision: Revision) -> Section:
    """Tell what a migration says of itself, and what its statements may do to others."""
    title = say("migration %s", revision.title)
    if revision.id not in preview.sources:
        return Section(title, (say("! what it does cannot be told: its source could not be read"),))
    source = preview.sources[revision.id]
    found = risks.risks(source, settings.database.kind)
    return Section(
        title,
        (
            # Its first line is in the title.
            *map(Printed, risks.docstring(source)[1:]),
            *(say("! line %s, %s: %s", one.line, one.rule, one.words) for one in found),
            *(() if found else (say("nothing in its source was found to be risky"),)),
        ),
    )
