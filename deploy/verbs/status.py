"""Tell how production stands, what was done to it, and who works on it."""

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from deploy import backups, builds, images, instances, maintenance, page, preflight, releases, runs, shell, words
from deploy.errors import Exit, Failure
from deploy.message import NOTHING, Message, Printed, Told, counted, say
from deploy.plan import Finding, Options
from deploy.state import Container, PastRun, Program, State, Tagged, kept, variables
from deploy.verbs.follow import Follower, finishing
from deploy.verbs.session import Session, tail

if TYPE_CHECKING:
    from deploy.report import Report

SCHEMA = 1
# So many of the commits that are new are named.
NAMED = 5
# Workers whose ages differ by no more seconds, or a tenth, are told by one.
ALIKE = 10
# Seconds between two rounds of status --watch.
WATCH_PAUSE = 5.0


def status(session: Session, *, as_json: bool, drift: bool, watch: bool = False) -> None:
    """Tell revisions, drift, services, programs, database, room, lock and last run; `watch`: again and again."""
    _once(session, as_json=as_json, drift=drift)
    while watch:
        time.sleep(WATCH_PAUSE)
        session.report.line(NOTHING)
        _once(session, as_json=as_json, drift=drift)


def _once(session: Session, *, as_json: bool, drift: bool) -> None:
    state = session.read("remote")
    if as_json:
        session.report.document(facts(session, state))
        return
    if drift:
        for name in state.app.drift if state.app else ():
            session.report.line(Printed(name))
        return
    repository, last = state.repository, state.history[-1] if state.history else None
    running = releases.running(state)[:7] or say("unknown")
    remote, target = session.settings.git.remote, repository.target[:7] or say("unknown")
    new = counted(len(repository.incoming), "%s new commit", "%s new commits")
    lock = (finding.evidence for finding in _findings(session, state, "lock"))
    session.report.rows(
        (
            (say("target"), say("%s (%s)", session.settings.target.name, session.host.label)),
            (
                say("release"),
                say("%s runs; clone at %s, %s at %s, %s", running, repository.head[:7], remote, target, new),
            ),
            *_below(NOTHING, _releases(state)),
            *_new(repository.incoming if len(repository.incoming) > 1 else ()),
            (say("drift"), preflight.drift(state) or say("none")),
            *_images(session, state),
            *([(say("maintenance"), shown, "yellow")] if (shown := maintenance.told(session.settings, state)) else []),
            *_below(say("services"), _uptimes(state)),
            *_below(say("programs"), _programs(session, state)),
            *([] if state.database.none else [(say("migrations"), _migrations(session, state))]),
            *([] if state.database.none else [(say("last dump"), _last_dump(state))]),
            (say("room"), say("%s", _room(state))),
            (say("lock"), next(lock, say("free"))),
            (say("last run"), _told(last) if last else say("none")),
        )
    )
    session.report.stale(builds.stale(state))
    for problem in _findings(session, state, "records"):
        session.report.line(say("! %s", problem.evidence), "yellow")


def _releases(state: State) -> tuple[Message, ...]:
    """Name the commit that runs, and the next one where that is another."""
    wanted = (releases.running(state), state.repository.target)
    named = {one.id: one for full in wanted for one in state.releases if full.startswith(one.id)}
    return tuple(say("%s %s, %s old", one.id, one.subject, backups.age(one.age)) for one in named.values())


def _last_dump(state: State) -> Message:
    if not state.dumps:
        return say("none")
    run, revision = state.dumps[-1]
    return say("%s ago, at %s (%s)", backups.age(_seconds_since(state, run)), revision, run)


def _new(incoming: Sequence[Message]) -> Iterator[tuple[Told, Told]]:
    """Name the newest commits, below one another."""
    for number, commit in enumerate(incoming[:NAMED]):
        yield NOTHING if number else say("new"), commit
    if len(incoming) > NAMED:
        yield NOTHING, say("and %s more", len(incoming) - NAMED)


def _uptimes(state: State) -> tuple[Message, ...]:
    """Say how every container is, and for how long."""
    told = []
    for name, container in _containers(state).items():
        found = say("%s %s", name, container.status)
        if container.running:
            more: list[Told] = [Printed(container.health)] if container.health else []
            more += [backups.size(container.memory_mib * 1024**2)] if container.memory_mib is not None else []
            found = say("%s for %s", found, backups.age(_seconds_since(state, container.started)))
            found = say("%s (%s)", found, tuple(more)) if more else found
        told.append(found)
    return tuple(told)


def _below(name: Told, told: Sequence[Told]) -> Iterator[tuple[Told, Told]]:
    """Tell several things of one, below one another."""
    for number, one in enumerate(told):
        yield NOTHING if number else name, one


def _images(session: Session, state: State) -> Iterator[tuple[Told, Told]]:
    """Say which release each image has, and what a container has that is made anew."""
    recreated = images.told(session.settings, state)
    return _below(say("image"), (*(_image(state, one) for one in state.tagged), *([recreated] if recreated else [])))


def _image(state: State, one: Tagged) -> Message:
    age = backups.age(_seconds_since(state, one.created))
    release: Told = Printed(one.revision[:7]) or say("no release is named")
    return say("%s: %s, made %s ago", one.name, say("%s %s", release, one.subject) if one.subject else release, age)


def _seconds_since(state: State, moment: str) -> int:
    return int((kept.moment(state.clock) - kept.moment(moment)).total_seconds())


def _programs(session: Session, state: State) -> tuple[Message, ...]:
    """Say of every program in every container how it works."""
    return tuple(
        say("%s: %s", f"{one.beside}: {program.name}" if one.beside else program.name, working(program))
        for one in instances.each(session.settings, state)
        for program in one.state.programs
    )


def working(program: Program) -> Message:
    """Say how many of its processes work, with their memory, and for how long."""
    count, each = len(program.each), program.each
    many = counted(count, "%s worker", "%s workers") if program.server else counted(count, "%s process", "%s processes")
    if not each:
        return many
    sizes, ages = sorted(one.mib for one in each), sorted(one.age for one in each)
    memory = say("%s MiB", sizes[0]) if sizes[0] == sizes[-1] else say("%s-%s MiB", sizes[0], sizes[-1])
    youngest, oldest = backups.age(ages[0]), backups.age(ages[-1])
    # Those that were started together, one after the other, are of an age.
    alike = ages[-1] - ages[0] <= max(ALIKE, ages[-1] // 10)
    return say("%s, %s, %s", many, memory, oldest if alike else say("%s to %s", youngest, oldest))


def _room(state: State) -> tuple[Message, ...]:
    """Say what there is left of, and how large the database is."""
    disk, memory = state.free_mib, state.app.memory_mib if state.app else None
    told = [] if disk is None else [say("%s free on the disk", backups.size(disk * 1024**2))]
    told += [] if memory is None else [say("%s of memory", backups.size(memory * 1024**2))]
    database = state.database
    return (*told, *([say("the database has %s", backups.size(database.size))] if database.size else []))


def facts(session: Session, state: State) -> dict[str, object]:
    """Give what status tells, as JSON has it."""
    repository = state.repository
    return {
        "schema": SCHEMA,
        "target": session.settings.target.name,
        "running": releases.running(state) or None,
        "clone": repository.head or None,
        "remote": repository.target or None,
        "drift": preflight.drift(state) or None,
        "stale_builds": list(builds.stale(state)),
        "recreated": _recreated(session, state),
        "drifted_files": list(state.app.drift) if state.app else [],
        "maintenance": maintenance.facts(session.settings, state),
        "releases": [{"revision": one.id, "age_s": one.age, "subject": one.subject} for one in state.releases],
        "services": _services(state),
        "containers": {
            name: {"status": one.status, "health": one.health or None, "memory_mib": one.memory_mib}
            for name, one in _containers(state).items()
        },
        "programs": [
            {
                "container": one.settings.app.container,
                "name": program.name,
                "server": program.server,
                "workers": [{"pid": of.pid, "age_s": of.age, "memory_mib": of.mib} for of in program.each],
            }
            for one in instances.each(session.settings, state)
            for program in one.state.programs
        ],
        "database": {"problem": state.database.problem or None, "revisions": list(state.database.revisions)},
        "dumps": [{"backup": run, "revision": revision} for run, revision in state.dumps],
        "lock": {**state.holder, "held": state.lock_held} if state.holder else None,
        "damaged_records": [finding.evidence for finding in _findings(session, state, "records")],
        "last_run": facts_of(state.history[-1]) if state.history else None,
    }


def cells(session: Session, state: State) -> tuple[Told, ...]:
    """Say what status tells in a few words each: release, clone, drift, services, migrations, lock, last run."""
    last = state.history[-1] if state.history else None
    ill = tuple(f"{name} {found}" for name, found in _services(state).items() if found != "running")
    lock = (finding.evidence for finding in _findings(session, state, "lock"))
    shown = say("maintenance page") if maintenance.is_on(session.settings, state) else None
    return (
        Printed(releases.running(state)[:7]) or say("unknown"),
        Printed(state.repository.head[:7]) or say("unknown"),
        say("%s", len(state.repository.incoming)),
        preflight.drift(state) or say("none"),
        say("%s", ill) if ill else shown or say("running"),
        say("none") if state.database.none else _migrations(session, state),
        next(lock, say("free")),
        say("%s %s", last.verb, outcome(last)) if last else say("none"),
    )


def _recreated(session: Session, state: State) -> dict[str, object]:
    """Tell whether a container that is made anew has what runs, and which release each of the images was given."""
    known = images.told(session.settings, state) is not None
    return {
        "keeps": not images.lost(session.settings, state) if known else None,
        "images": {one.name: one.baked or None for one in state.named.values()},
        "tagged": [
            {
                "name": one.name,
                "id": one.image,
                "age_s": _seconds_since(state, one.created),
                "revision": one.revision or None,
                "subject": one.subject or None,
            }
            for one in state.tagged
        ],
    }


def _services(state: State) -> dict[str, str]:
    return {name: container.status for name, container in _containers(state).items()}


def _containers(state: State) -> dict[str, Container]:
    """Give every container that is looked at: by its role, or by its name where it runs the code too."""
    found = {role.removeprefix("service "): container for role, container in state.containers.items()}
    return found | {one.name: one.state.containers["app"] for one in state.others if one.state.containers}


def _findings(session: Session, state: State, check: str) -> list[Finding]:
    return [finding for finding in preflight.judge(session.settings, state, Options()) if finding.check == check]


def _migrations(session: Session, state: State) -> Told:
    # The last of the database: before it is told whether its container is there.
    found = _findings(session, state, "database")[-1:] + _findings(session, state, "migrations")
    return words.joined(finding.evidence for finding in found) if found else say("unknown")


def history(session: Session, *, as_json: bool, html: str = "") -> None:
    """Tell every run, the newest first: who, what, how it ended, how long it took; or write that as `html`, a file."""
    told, damaged = past(session)
    if html:
        name = session.settings.target.name
        write_page(session.report, html, name, {name: told})
        return
    if as_json:
        session.report.document([facts_of(run) for run in told])
        return
    for problem in damaged:
        session.report.line(say("! %s", problem), "yellow")
    for run in reversed(told):
        session.report.line(_told(run), "green" if run.outcome == "done" else "yellow")
    if not told:
        session.report.line(say("there was no run on this host yet"))


def write_page(report: "Report", file: str, title: str, hosts: Mapping[str, Sequence[PastRun]]) -> None:
    """Write the runs of hosts as a page; what was there is written over."""
    place = Path(file).expanduser()
    try:
        place.write_text(page.page(title, hosts, report.in_languages), encoding="utf-8")
    except OSError as error:
        why = Printed(error.strerror or str(error))
        raise Failure(say("%s cannot be written: %s", str(place), why), code=Exit.USAGE) from None
    count = sum(map(len, hosts.values()))
    report.line(say("%s: %s", str(place), counted(count, "%s run written", "%s runs written")), "green")


def past(session: Session) -> tuple[tuple[PastRun, ...], tuple[Message, ...]]:
    """Read the runs that have ended, the oldest first, and what of them could not be understood."""
    answer = session.host.run(shell.script("history.sh", **variables(session.settings)))
    if answer.status != 0:
        raise Failure(say("the history could not be read"), evidence=tail(answer))
    return kept.history(shell.records(answer.stdout))


def list_releases(session: Session) -> None:
    """List the confirmed releases that a rollback can go to, the newest first."""
    state = session.read("running")
    now, default = releases.running(state), releases.before(state)
    for run in releases.confirmed(state):
        told = say("%s  %s  %s by %s", run.revision[:7], _when(run.ended), run.verb, run.operator)
        if run.revision == now:
            told = say("%s (runs)", told)
        elif run.revision == default:
            told = say("%s (rollback goes here)", told)
        session.report.line(told)


def unlock(session: Session, *, yes: bool) -> None:
    """Show who holds the lock; have a dead run finished, or ask a living one to end, which it does by undoing."""
    state = session.read("running")
    if not state.holder:
        session.report.line(say("the lock is free"))
        return
    run = state.holder.get("run", "")
    holder = say("%s by %s, run %s", state.holder.get("verb", "?"), state.holder.get("operator", "?"), run or "?")
    if not state.lock_held:
        session.report.line(say("%s, died with it: it is finished now", holder))
        Follower(session, "").follow(finishing(session, "unlock"))
        return
    session.report.line(say("held by %s, process %s", holder, state.holder.get("pid", "?")))
    session.agree(say("Have run %s undone and its lock given back", run), yes=yes)
    follower = Follower(session, run, undo=True)
    follower.follow(runs.follow(session.host, variables(session.settings), run))


def about(run: PastRun) -> Told:
    """Say when a run was, which verb's, whose, and from which release to which."""
    told = say("%s  %s by %s", _when(run.ended), run.verb, run.operator)
    if run.revision:
        told = say("%s  %s -> %s", told, run.was[:7] or say("unknown"), run.revision[:7])
    return told


def _told(run: PastRun) -> Told:
    told = say("%s  %s  %s s", about(run), outcome(run), run.ended - run.began)
    if run.probe:
        told = say("%s  probe: %s", told, run.probe.told)
    return say("%s  run %s", told, run.id)


def outcome(run: PastRun) -> Told:
    """Say who had the run undone, or what failed."""
    step, status, reason = run.failed
    ended = _ENDED.get(run.outcome) or Printed(run.outcome)
    if status in words.DECIDED and reason:
        return say("%s by %s", ended, reason)
    if step and reason:
        return say("%s (%s failed: %s)", ended, step, reason)
    return say("%s (%s failed)", ended, step) if step else ended


# The outcomes by the words that JSON has for them, for who reads another language.
_ENDED = {
    "done": say("done"),
    "refused": say("refused"),
    "undone": say("undone"),
    "undone-ill": say("undone-ill"),
    "altered": say("altered"),
    "abandoned": say("abandoned"),
    "failed": say("failed"),
    "locked": say("locked"),
    "changed": say("changed"),
}


def facts_of(run: PastRun) -> dict[str, object]:
    """Give a run as JSON has it: the reason of what failed is part of why."""
    step, status, reason = run.failed
    return {**asdict(run), "why": say("%s %s %s", step, status, reason) if reason else run.why}


def _when(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S UTC}"
