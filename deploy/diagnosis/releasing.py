"""What a release stumbles over: the clone, the migrations, what runs, and how the last run ended."""

from collections.abc import Iterable, Iterator
from dataclasses import replace

from deploy import causes, preflight, remedies, shell, words
from deploy.diagnosis.case import SHOWN, Case, Diagnosis, taken
from deploy.message import Message, Printed, Told, counted, say, unpack


def maintenance(case: Case) -> Iterator[Diagnosis]:
    """That users get a page in the app's place, which somebody may have forgotten."""
    for finding in case.warned("maintenance"):
        told = taken(finding)
        yield replace(told, cause=say("the maintenance page: %s", told.cause))


def migrations(case: Case) -> Iterator[Diagnosis]:
    for finding in case.refused("migrations"):
        look = remedies.look_at_migrations(case.target)
        revisions = case.state.database.revisions or say("none")
        heads = case.state.chain.heads if case.state.chain else ()
        evidence = (say("the database is at: %s", revisions), say("the code's heads: %s", heads or say("none")))
        told = taken(finding)
        yield replace(told, evidence=evidence, remedies=(*told.remedies, look))


def repository(case: Case) -> Iterator[Diagnosis]:
    """Why the clone could not be brought to the remote's branch."""
    state = case.state.repository
    for finding in case.refused("repository", "remote", "work tree", "commits", "protected paths", "submodules"):
        evidence = tuple(say("%s %s", name, url) for name, url in state.remotes) if finding.check == "remote" else ()
        if finding.check == "commits" and state.incoming:
            count = counted(len(state.incoming), "%s commit", "%s commits")
            evidence = (say("diverged: the remote has %s that the clone does not have", count),)
        if finding.check == "work tree":
            evidence = tuple(map(_changed, state.uncommitted[:SHOWN]))
        yield replace(taken(finding), evidence=evidence)
    yield from map(taken, case.warned("branch"))


def _changed(name: str) -> Message:
    return say("git status: %s", name)


def others(case: Case) -> Iterator[Diagnosis]:
    """What else preflight refuses that is a fault of the host, or of its settings."""
    yield from (taken(finding) for finding in case.refused("env", "filters", "line endings", "mounts", "health"))
    if case.docker and case.up:
        yield from (taken(finding) for finding in case.refused(*case.state.unread))


def running(case: Case) -> Iterator[Diagnosis]:
    """Processes older than their code, and files that are not the release's."""
    app, target = case.state.app, case.target
    if not case.up or app is None or app.record is None:
        return
    told = preflight.drift(case.state)
    if told is not None:
        act = remedies.update(target) if app.drift or not app.record.complete else remedies.restart(target)
        yield Diagnosis("release", say("what runs is not what was deployed"), (told,), (act,), harms=False)


def last_run(case: Case) -> Iterator[Diagnosis]:
    """How the last run ended, where that was not well, and one that died."""
    state = case.state
    if state.holder and not state.lock_held:
        verb, operator, run = (state.holder.get(name) or "?" for name in ("verb", "operator", "run"))
        cause = say("%s by %s, run %s, died before its end", verb, operator, run)
        yield Diagnosis("lock", cause, (), (remedies.finish_run(case.target),), harms=False)
    last = state.history[-1] if state.history else None
    if last is None or last.outcome in ("done", "refused", "locked", "changed"):
        return
    step, status, reason = last.failed
    if status in words.DECIDED:
        return
    cause = say("the last run, %s by %s, failed at %s", last.verb, last.operator, step or say("its end"))
    lines = _lines_of(case.facts.journals.get(last.id, ()), step)
    complaint = causes.complaint([str(line) for line in lines if not isinstance(line, Message)]).line
    evidence = ((reason,) if reason else ()) + ((Printed(complaint),) if complaint else tuple(lines[-SHOWN:]))
    known = causes.remedy(lines)
    act = (*((known,) if known else ()), remedies.see_run(last.id, case.target))
    yield Diagnosis("last run", cause, evidence, act, harms=False)


def _lines_of(journal: Iterable[Told], step: str) -> list[Told]:
    """Give what a step of a run told, by its journal."""
    events = (shell.fields(str(line)) for line in journal if not isinstance(line, Message))
    return [unpack(event[3]) for event in events if event[1:3] in (("line", step), ("message", step)) and event[3:]]
