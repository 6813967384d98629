"""Tell how production stands, what was done to it, and who works on it."""

from dataclasses import asdict
from datetime import UTC, datetime

from deploy import output, preflight, releases, runs, shell, words
from deploy.errors import Failure
from deploy.plan import Finding, Options
from deploy.state import PastRun, State, kept, variables
from deploy.verbs.follow import DECIDED, Follower, finishing
from deploy.verbs.session import Session, tail

SCHEMA = 1


def status(session: Session, *, as_json: bool, drift: bool) -> None:
    """Tell target, revisions, drift, services, migrations, lock and last run."""
    state = session.read("remote")
    if as_json:
        output.document(_facts(session, state))
        return
    if drift:
        for name in state.app.drift if state.app else ():
            session.report.line(name)
        return
    repository, last = state.repository, state.history[-1] if state.history else None
    running = releases.running(state)[:7] or "unknown"
    clone = f"clone at {repository.head[:7]}, {session.settings.git.remote} at {repository.target[:7] or 'unknown'}"
    rows = {
        "target": f"{session.settings.target.name} ({session.host.label})",
        "release": f"{running} runs; {clone}, {words.plural(len(repository.incoming), 'new commit')}",
        "drift": preflight.drift(state) or "none",
        "services": ", ".join(f"{role} {found.status}" for role, found in state.containers.items()),
        "migrations": _migrations(session, state),
        "lock": next((finding.evidence for finding in _findings(session, state, "lock")), "free"),
        "last run": _told(last) if last else "none",
    }
    for name, told in rows.items():
        session.report.line(f"{name:<10}  {told}")
    for problem in _findings(session, state, "records"):
        session.report.line(f"! {problem.evidence}", "yellow")


def _facts(session: Session, state: State) -> dict[str, object]:
    repository = state.repository
    return {
        "schema": SCHEMA,
        "target": session.settings.target.name,
        "running": releases.running(state) or None,
        "clone": repository.head or None,
        "remote": repository.target or None,
        "drift": preflight.drift(state) or None,
        "drifted_files": list(state.app.drift) if state.app else [],
        "services": {role: found.status for role, found in state.containers.items()},
        "database": {"problem": state.database.problem or None, "revisions": list(state.database.revisions)},
        "lock": {**state.holder, "held": state.lock_held} if state.holder else None,
        "damaged_records": [finding.evidence for finding in _findings(session, state, "records")],
        "last_run": asdict(state.history[-1]) if state.history else None,
    }


def _findings(session: Session, state: State, check: str) -> list[Finding]:
    return [finding for finding in preflight.judge(session.settings, state, Options()) if finding.check == check]


def _migrations(session: Session, state: State) -> str:
    found = _findings(session, state, "database") + _findings(session, state, "migrations")
    return "; ".join(finding.evidence for finding in found) or "unknown"


def history(session: Session, *, as_json: bool) -> None:
    """Tell every run, the newest first: who, what, how it ended, how long it took."""
    answer = session.host.run(shell.script("history.sh", **variables(session.settings)))
    if answer.status != 0:
        raise Failure("the history could not be read", evidence=tail(answer))
    told, damaged = kept.history(shell.records(answer.stdout))
    if as_json:
        output.document([asdict(run) for run in told])
        return
    for problem in damaged:
        session.report.line(f"! {problem}", "yellow")
    for run in reversed(told):
        session.report.line(_told(run), "green" if run.outcome == "done" else "yellow")
    if not told:
        session.report.line("there was no run on this host yet")


def list_releases(session: Session) -> None:
    """List the confirmed releases that a rollback can go to, the newest first."""
    state = session.read("running")
    now, default = releases.running(state), releases.before(state)
    for run in releases.confirmed(state):
        mark = " (runs)" if run.revision == now else " (rollback goes here)" if run.revision == default else ""
        session.report.line(f"{run.revision[:7]}  {_when(run.ended)}  {run.verb} by {run.operator}{mark}")


def unlock(session: Session, *, yes: bool) -> None:
    """Show who holds the lock; have a dead run finished, or ask a living one to end, which it does by undoing."""
    state = session.read("running")
    if not state.holder:
        session.report.line("the lock is free")
        return
    run = state.holder.get("run", "")
    holder = f"{state.holder.get('verb', '?')} by {state.holder.get('operator', '?')}, run {run or '?'}"
    if not state.lock_held:
        session.report.line(f"{holder}, died with it: it is finished now")
        Follower(session, "").follow(finishing(session, "unlock"))
        return
    session.report.line(f"held by {holder}, process {state.holder.get('pid', '?')}")
    session.agree(f"have run {run} undone and its lock given back", yes=yes)
    follower = Follower(session, run, undo=True)
    follower.follow(runs.follow(session.host, variables(session.settings), run))


def _told(run: PastRun) -> str:
    change = f"{run.was[:7] or 'unknown'} -> {run.revision[:7]}" if run.revision else ""
    seconds = f"{run.ended - run.began} s"
    probe = f"probe: {run.probe}" if run.probe else ""
    told = (
        _when(run.ended),
        f"{run.verb} by {run.operator}",
        change,
        f"{run.outcome}{_why(run)}",
        seconds,
        probe,
        f"run {run.id}",
    )
    return "  ".join(filter(None, told))


def _why(run: PastRun) -> str:
    """Say who had the run undone, or what failed."""
    step, status, reason = (*run.why.split(" ", 2), "", "", "")[:3]
    if status in DECIDED and reason:
        return f" by {reason}"
    return f" ({step} failed{reason and f': {reason}'})" if step else ""


def _when(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M:%S} UTC"
