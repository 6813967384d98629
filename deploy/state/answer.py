"""What the reading script answered, as a state."""

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from deploy import answers, remedies, shell
from deploy.errors import Failure
from deploy.message import NOTHING, Message, Told, say, unpack
from deploy.state import container, kept
from deploy.state.model import (
    LONGEST_REVISION,
    App,
    Commit,
    Container,
    Database,
    Memory,
    Named,
    Other,
    PastRun,
    Preview,
    Probe,
    Repository,
    Sibling,
    Sources,
    State,
    Tagged,
    Versions,
)

Rows = dict[str, list[tuple[str, ...]]]
# What is told of every container that runs the code; the rest is the same for all of them.
OWN = (
    "container",
    "clone_at",
    "memory",
    "app",
    "app_text",
    "app_problem",
    "matching",
    "running_known",
    "running_gone",
    "sources",
    "differs_nothing",
    "differs_head",
    "differs_running",
    "differs_change",
)


def parse(answer: str) -> State:
    """Read what the script answered. An answer without its end, or that makes no sense, is a failure, not a state."""
    with answers.understood(answer, say("the host's state")):
        return _parse(answer)


def _parse(answer: str) -> State:
    rows: Rows = defaultdict(list)
    # What is told between "other" and "alone" is of one more container that runs the code.
    others: list[Rows] = []
    here: Rows = rows
    for kind, *fields in shell.records(answer):
        if kind == "other":
            here = defaultdict(list)
            others.append(here)
        elif kind == "alone":
            here = rows
        here[kind].append(tuple(fields))
    if not rows["end"]:
        last = tuple(map(unpack, answer.rstrip("\n").split("\n")[-1:]))
        raise Failure(say("the host did not tell its whole state"), evidence=last, remedy=remedies.RUN_AGAIN)
    state = _state(answer, rows)
    known = tuple(also for other in others for also, _ in other["other"])
    found = tuple(_other(answer, rows, other, known) for other in others)
    return replace(state, others=found, crowded="" in known) if others else state


def _other(answer: str, rows: Rows, other: Rows, known: Sequence[str]) -> Other:
    """Read of one more container what is told of the app's, and of the host what is the same for all.

    `known` are the services that all of them are of.
    """
    ((also, name),) = other["other"]
    own = {kind: other[kind] for kind in (*OWN, *(["probe"] if other["probe"] else []))}
    state = _state(answer, defaultdict(list, {**rows, **own}))
    # A replica serves as the app does; elsewhere may be other programs only.
    serves, crowded = not also or state.served, not also or known.count(also) > 1
    alike = replace(state, first=False, replica=not also, serves=serves, crowded=crowded, siblings=())
    return Other(name, also, alike)


def _state(answer: str, rows: Rows) -> State:
    def one(kind: str, index: int = 0) -> str:
        return rows[kind][0][index] if rows[kind] else ""

    def column(kind: str, index: int = 0) -> tuple[str, ...]:
        return tuple(row[index] for row in rows[kind])

    history, damaged_history = kept.history(rows["history"])
    holder, damaged_holder = kept.holder(rows["holder"])
    maintained, damaged_page = kept.maintained(rows["maintenance"])
    app, app_problem, damaged_inside = _app(one("app"), column("app_text")) if rows["app"] else (None, NOTHING, ())
    return State(
        user=one("host"),
        boot_id=one("host", 2),
        clock=one("clock"),
        tools=dict(_pairs(rows["tool"])),
        engine=one("engine"),
        engine_problem=unpack(one("engine", 1)),
        compose=one("compose"),
        compose_file=bool(rows["compose_file"]),
        free_mib=int(one("disk")) if rows["disk"] else None,
        env=one("env"),
        env_empty=column("env_empty"),
        repository=_repository(rows),
        containers={row[0]: _container(row) for row in rows["container"]},
        siblings=tuple(Sibling(*row) for row in rows["sibling"]),
        clone_at=column("clone_at"),
        unlisted=dict(_pairs(rows["unlisted"])),
        app=app,
        app_problem=app_problem or unpack(one("app_problem")),
        running=one("running_known"),
        changes=tuple(_pairs(rows["differs_change"])),
        image_files={row[1]: _blob(row[3]) for row in rows["differs_nothing"]},
        image_changes={row[1]: _blob(row[2]) for row in rows["differs_running"]},
        image_changes_since_head={row[1]: _blob(row[2]) for row in rows["differs_head"]},
        database=_database(rows, _known(app), history),
        probes=_probes(rows["probe"]),
        logs=tuple(_pairs(rows["log"])),
        holder=holder,
        maintained=maintained,
        lock_held=bool(rows["lock_held"]),
        history=history,
        releases=_commits(rows["release"]),
        dumps=tuple(_pairs(rows["dumped"])),
        image_revision=one("image") or one("matching"),
        image_created=one("image", 1),
        backup_free_mib=int(one("backup_room")) // 1024 if one("backup_room") else None,
        sources={name: _sources(rest) for name, *rest in rows["sources"]},
        tagged=tuple(_tagged(row, one("matching"), one("matching", 1), _image(rows)) for row in rows["tagged"]),
        named={name: _named(rest) for name, *rest in rows["named"]},
        running_gone=bool(rows["running_gone"]),
        unread={check: unpack(why) for check, why in _pairs(rows["unread"])},
        memory=_memory(rows["memory"][0]) if rows["memory"] else None,
        preview=_preview(rows) if rows["previewed"] else None,
        guard="".join(
            "\t".join(line.split("\t")[1:]) + "\n" for line in answer.split("\n") if line.startswith("guard\t")
        ),
        damaged=(*damaged_history, *damaged_holder, *damaged_page, *damaged_inside),
    )


def _pairs(rows: Iterable[tuple[str, ...]]) -> Iterable[tuple[str, str]]:
    return ((row[0], row[1]) for row in rows)


def _repository(rows: Rows) -> Repository:
    if "repository" not in rows:
        return Repository()
    fault, problem, *rest = rows["repository"][0]
    if fault:
        return Repository(problem=unpack(problem), foreign=fault == "foreign")
    head, branch, target = rows["head"][0] if rows["head"] else ("", "", "")

    def names(kind: str) -> tuple[str, ...]:
        return tuple(row[0] for row in rows[kind])

    def told(kind: str) -> tuple[Message, ...]:
        return tuple(say("%s %s", commit, unpack(subject)) for commit, subject in rows[kind])

    return Repository(
        problem=NOTHING,
        owner=rest[1],
        remotes=tuple(_pairs(rows["remote"])),
        branches=names("known_branch"),
        fetched=bool(rows["fetched"]),
        fetch_problem=unpack(rows["fetched"][0][1]) if rows["fetched"] else NOTHING,
        lacks_branch=bool(rows["fetched"]) and rows["fetched"][0][0] == "branch",
        head=head,
        branch=branch,
        target=target,
        index_lock=rows["index_lock"][0][0] if rows["index_lock"] else "",
        incoming=told("incoming"),
        unpushed=told("unpushed"),
        uncommitted=names("uncommitted"),
        endangered=names("endangered"),
        tracks_protected=names("tracks_protected"),
        filters=names("filters"),
        line_endings=names("line_endings"),
        ambiguous=tuple(map(unpack, names("ambiguous"))),
        submodules=tuple((path, commit, getting) for path, commit, getting in rows["submodule"]),
        rewritten=next(((was, now, int(count)) for was, now, count in rows["rewritten"]), None),
    )


def _preview(rows: Rows) -> Preview:
    # Of what is no text git counts no lines.
    counted = {name: (int(added), int(gone)) for name, added, gone in rows["lines"] if added.isdecimal()}
    return Preview(_commits(rows["coming"]), _commits(rows["going"]), counted)


def _commits(rows: Iterable[tuple[str, ...]]) -> tuple[Commit, ...]:
    return tuple(Commit(commit, int(age), unpack(subject)) for commit, age, subject in rows)


def _memory(row: tuple[str, ...]) -> Memory:
    limit, used, kills = row
    return Memory(int(limit) if limit else None, int(used), int(kills))


def _sources(row: Sequence[str]) -> Sources:
    target, running, stored, folder = row
    return Sources(target, running, bool(stored), folder)


def _named(row: Sequence[str]) -> Named:
    name, image, baked = row
    # An image's label says what whoever made that wanted.
    return Named(name, image, baked if kept.OBJECT.fullmatch(baked) else "")


def _image(rows: Rows) -> str:
    """The id of the image that the app's container was made from."""
    return next((row[3] for row in rows["container"] if row[0] == "app"), "")


def _tagged(row: Sequence[str], matching: str, matching_subject: str, of: str) -> Tagged:
    """Read an image; the container's own has what its files match, where it does not say what it has."""
    name, image, created, revision, subject = row
    if not revision and image == of:
        revision, subject = matching, matching_subject
    return Tagged(name, image, created, revision if kept.OBJECT.fullmatch(revision) else "", unpack(subject))


def _container(row: tuple[str, ...]) -> Container:
    _, name, identity, image, status, restarts, started, service, project, *more = row
    folder, environment, files, mounts, grace, health, used = more
    made_from, places = tuple(files.splitlines()), iter(mounts.splitlines())
    return Container(
        name=name,
        id=identity,
        image=image,
        status=status,
        restarts=int(restarts),
        started=started,
        service=service,
        project=project,
        folder=folder,
        environment=environment,
        files=made_from,
        mounts=dict(zip(places, places, strict=False)),
        grace=int(grace) if grace else None,
        health=health,
        memory_mib=int(used) if used else None,
    )


def with_texts(facts: Any, texts: Sequence[str]) -> Any:
    """Put the texts that came by themselves back where the facts of the container refer to them."""
    match facts:
        case {"/text": int(number)}:
            return texts[number] if 0 <= number < len(texts) else ""
        case dict():
            return {name: with_texts(below, texts) for name, below in facts.items()}
        case list():
            return [with_texts(below, texts) for below in facts]
    return facts


def _app(told: str, texts: Sequence[str]) -> tuple[App | None, Told, tuple[Message, ...]]:
    """Read what the program in the container told; where that cannot be, say so, and name its damaged files."""
    try:
        facts = with_texts(json.loads(told), texts)
        problems = tuple(say("%s, in the container, cannot be understood", name) for name in container.damaged(facts))
        return container.app(facts), NOTHING, problems
    except (ValueError, AttributeError, RecursionError) as error:
        return None, say("what was told in it cannot be understood: %s", answers.said_by(error)), ()


def _blob(text: str) -> str:
    """Git's name of a blob; nothing where it says that there is none."""
    return text.strip("0") and text


def _known(app: App | None) -> set[str]:
    """The revisions of the code that runs and of the target's."""
    chains = (app.chain, app.target_chain) if app else ()
    return {revision.id for chain in chains if chain for revision in chain.revisions}


def _database(rows: Mapping[str, list[tuple[str, ...]]], known: set[str], history: Sequence[PastRun]) -> Database:
    """Read what the database answered; `known` are the revisions that any code here has."""
    if "database" not in rows:
        return Database(none=bool(rows.get("db_none")))
    versions = tuple(
        Versions(
            name, tuple(row[1] for row in rows.get("db_revision", ()) if row[0] == name), int(longest), usual == "t"
        )
        for name, longest, usual in rows.get("db_version_table", ())
    )
    ours = version_table(versions, known)
    problem = unpack(rows["database"][0][0])
    if ours and (odd := [one for one in ours.revisions if not container.REVISION.fullmatch(one)]):
        problem = problem or say("%s holds what is no revision: %s", ours.table, repr(odd[0][:60]))
    migrated = [run for run in history if ("migrate", 0) in ((name, status) for name, status, _ in run.steps)]
    return Database(
        version_table=ours.table if ours else "",
        longest_revision=ours.longest if ours else LONGEST_REVISION,
        versions=versions,
        traces=(
            *(say("there is the table %s", one.table) for one in versions),
            *(say("the run %s migrated it", run.id) for run in migrated[-1:]),
            *(say("the dump %s has it at %s", row[0], row[1]) for row in rows.get("dumped", ())[-1:]),
        ),
        problem=problem,
        tables=int(rows["db_tables"][0][0]) if "db_tables" in rows else 0,
        revisions=ours.revisions if ours else (),
        columns=dict(_pairs(rows["db_column"])) if "db_column" in rows else {},
        size=int(rows["db_size"][0][0]) if "db_size" in rows else 0,
        server=" ".join(rows["db_server"][0]) if rows.get("db_server") else "",
        client=next(iter(_pairs(rows.get("db_client", ()))), None),
        idle=tuple(
            (session, say("session %s (user %s, application %s) since %s", session, user, unpack(name) or "?", since))
            for session, user, name, since in rows.get("db_idle", ())
        ),
        invalid_indexes=tuple(_pairs(rows["db_invalid_index"])) if "db_invalid_index" in rows else (),
    )


def version_table(versions: Sequence[Versions], known: set[str]) -> Versions | None:
    """Choose the app's: the one whose revisions its code knows, then the usual one.

    Whether Alembic is configured so is asked before anything is migrated; this is what costs no import of the app.
    """
    ours = [one for one in versions if one.revisions and known.issuperset(one.revisions)]
    usual = [one for one in versions if one.usual]
    alone = [
        one for found in (ours, [one for one in ours if one.usual], usual, versions) for one in found if len(found) == 1
    ]
    return alone[0] if alone else None


def _probes(rows: Iterable[tuple[str, ...]]) -> dict[str, tuple[Probe, ...]]:
    probes: dict[str, tuple[Probe, ...]] = {}
    for name, url, status in rows:
        answered = probes.get(name, ())
        if not answered or answered[-1].status == 404:
            probes[name] = (*answered, Probe(url, int(status)))
    return probes
