"""The roads that the verbs take: read, decide, carry out, prove."""

import getpass
import secrets
import socket
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime

from deploy import health, migrations, preflight, runs, shell, steps
from deploy.errors import Exit, Failure
from deploy.health import Check
from deploy.host import Answer, Disconnected, Host
from deploy.plan import Finding, Options, Plan, refuse
from deploy.report import Report
from deploy.settings import Settings
from deploy.state import State, TargetIs, parse, read_script, variables

# Seconds between two rounds of health --watch.
WATCH_PAUSE = 2.0


@dataclass(frozen=True)
class Session:
    """A verb's settings, its host and where it reports to."""

    settings: Settings
    host: Host
    report: Report

    def read(self, target: TargetIs) -> State:
        """Read the host's whole state in one round trip."""
        answer = self.host.run(read_script(self.settings, target=target))
        if answer.status != 0:
            raise Failure("the host's state could not be read", evidence=_tail(answer))
        return parse(answer.stdout)


@dataclass(frozen=True)
class Decision:
    """What was read, how it was judged, and what is to be done."""

    state: State
    findings: tuple[Finding, ...]
    needs: tuple[str, ...]
    plan: Plan
    run: str

    def refuse(self, *, shown: bool = False) -> None:
        refuse(self.findings, self.needs, shown=shown)


def decide(session: Session, verb: str, names: tuple[str, ...], target: TargetIs, options: Options) -> Decision:
    """Read the state and plan the named steps; a refused plan has no steps."""
    settings = session.settings
    state = session.read(target)
    findings = preflight.judge(settings, state, options)
    needs = steps.needs(names) if verb in names else tuple(finding.check for finding in findings)
    if state.env == "unreadable":
        needs = (*needs, "env")
    run = runs.new_run_id(datetime.now(UTC), secrets.token_hex(2))
    refused = any(finding.level == "refusal" and finding.check in needs for finding in findings)
    plan = (
        Plan(verb, state.repository.target, ()) if refused else steps.plan(verb, names, settings, state, options, run)
    )
    return Decision(state, findings, needs, plan, run)


def run_step(session: Session, verb: str, options: Options) -> None:
    """Carry out one verb alone: the same road with a plan of one step."""
    decision = decide(session, verb, (verb,), steps.STEPS[verb].TARGET, options)
    decision.refuse()
    if not decision.plan.steps:
        session.report.nothing_to_do(verb, decision.state)
        return
    carry_out(session, decision.plan, decision.state, decision.run)


def stamp(session: Session, revision: str) -> None:
    """Write a revision into alembic_version by hand."""
    state = _migration_state(session)
    if state.chain is not None and not state.chain.knows([revision]):
        raise Failure(
            f"migrate: {session.settings.migrate.directory} has no revision {revision}",
            remedy=f"inv migrate --history --target {session.settings.target.name} lists them",
            code=Exit.REFUSED,
        )
    plan = Plan("migrate", "", (steps.migrate.stamp_step(session.settings, state, revision),))
    carry_out(session, plan, state, runs.new_run_id(datetime.now(UTC), secrets.token_hex(2)))


def carry_out(session: Session, plan: Plan, state: State, run: str) -> None:
    """Hand the plan to the host, follow its journal to the end, and raise how it ended unless it is done."""
    settings = session.settings
    shared = variables(settings)
    about = {
        "verb": plan.verb,
        "target": settings.target.name,
        "operator": f"{getpass.getuser()}@{socket.gethostname()}",
        "revision": plan.revision,
    }
    guard = shell.script("containers.sh", "guard.sh", **shared) + "guard\n"
    files = runs.files_of(plan.steps, about, guard, state.guard, shared)
    _follow(session, runs.start(session.host, shared, run, files))


def attach(session: Session, run: str = "") -> None:
    """Follow the run in progress, or tell how the last one ended."""
    _follow(session, runs.follow(session.host, variables(session.settings), run))


def _follow(session: Session, journal: AbstractContextManager[Iterator[runs.Event]]) -> None:
    """Show a run's events to its end; who stops watching, by will or not, does not stop the run."""
    seen: list[runs.Event] = []
    see = f"inv attach --target {session.settings.target.name}"
    try:
        with journal as events:
            for event in events:
                seen.append(event)
                session.report.event(event)
    except KeyboardInterrupt:
        raise Failure(
            "detached: the host finishes the run by itself", remedy=f"{see} tells how it ends", code=Exit.INTERRUPTED
        ) from None
    except Disconnected as error:
        raise Failure(
            f"the connection to {session.host.label} was lost; the host finishes the run by itself",
            evidence=(error.fact,),
            remedy=f"{see} tells how it ends",
        ) from error
    _judge(session, seen)


def _judge(session: Session, seen: Iterable[runs.Event]) -> None:
    """Raise what the journal says unless the run is done."""
    events = tuple(seen)
    last = events[-1] if events else None
    target = session.settings.target.name
    if last is not None and last.kind == "none":
        raise Failure("there was no run on this host yet", remedy=f"inv hot-update --target {target}")
    if last is None or last.kind != "done":
        raise Failure(
            "the run's harness is gone and how it ended is unknown",
            evidence=_now(session),
            remedy=f"inv preflight --target {target}, then run the verb again",
        )
    match last.fields:
        case ("done", *_):
            return
        case ("locked", *_):
            holder = next((event.fields for event in events if event.kind == "refused"), ())
            raise Failure(
                "another run holds the lock, nothing was done",
                evidence=(_holder(holder),),
                remedy=f"inv attach --target {target} follows it",
                code=Exit.LOCKED,
            )
        case ("changed", *_):
            changed = tuple(f"{e.fields[0]}: {e.fields[1]} -> {e.fields[2]}" for e in events if e.kind == "changed")
            raise Failure(
                "the host changed since its state was read, nothing was done",
                evidence=changed,
                remedy="run the verb again",
                code=Exit.REFUSED,
            )
        case ("failed", step, *_):
            told = [event.fields[1] for event in events if event.kind == "line" and event.fields[0] == step]
            lines = [line for line in told if line.strip()]
            fact = lines[-1] if lines else "it failed without a word"
            raise Failure(
                f"{step} failed on {session.host.label}: {fact}",
                evidence=(*lines[-16:-1], *_now(session)),
                remedy=f"inv preflight --target {target}",
            )
        case outcome:
            raise Failure(
                f"the run ended as {' '.join(outcome)}",
                evidence=_now(session),
                remedy=f"inv preflight --target {target}",
            )


def _holder(fields: tuple[str, ...]) -> str:
    """Say who holds the lock; the fields are those of the journal's `refused`."""
    run, verb, operator, _, start = fields if len(fields) == 5 else ("", "", "", "", "")
    if not run:
        return "the holder is not known yet"
    since = f" since {datetime.fromtimestamp(float(start), UTC):%Y-%m-%d %H:%M:%S} UTC" if start else ""
    return f"{verb} by {operator}, run {run}{since}"


def _now(session: Session) -> tuple[str, ...]:
    """Say the host's state now; a failing look never hides the failure that it explains."""
    try:
        state = session.read("running")
        why = "" if state.answering else preflight.last_error(session.settings, state)
        return (*((f"last error in the logs: {why}",) if why else ()), f"now: {session.report.describe(state)}")
    except Failure as failure:
        return (f"now: unknown, {failure.fact}",)


def prove(session: Session, plan: Plan) -> tuple[Check, ...]:
    """Prove that production runs the plan's revision and is healthy, or raise what shows that it does not."""
    settings = session.settings
    checks = health.wait(
        session.host.http(),
        settings.health.checks,
        timeout=settings.health.request_timeout,
        deadline=settings.health.timeout,
    )
    session.report.health(checks)
    state = session.read("running")
    wrong = _wrong(state, plan.revision)
    ill = tuple(f"{check.name}: {check.url} {check.problem}" for check in checks if not check.healthy)
    if not wrong and not ill:
        return checks
    why = preflight.last_error(settings, state) if ill else ""
    raise Failure(
        f"health: {(ill or wrong)[0]}",
        evidence=(
            *(ill + wrong)[1:],
            *((f"last error in the logs: {why}",) if why else ()),
            f"now: {session.report.describe(state)}",
        ),
        remedy=f"publish a release that cures it, then inv hot-update --target {settings.target.name}",
    )


def _wrong(state: State, revision: str) -> tuple[str, ...]:
    """What shows that not the revision serves, but something else."""
    app = state.app
    if app is None:
        return (f"the app container cannot be looked into: {state.app_problem or 'it is not running'}",)
    wrong = []
    if app.record is None or not app.record.complete or app.record.revision != revision:
        wrong.append(f"the container does not run {revision[:7]}")
    if app.drift:
        wrong.append(f"changed since the copy: {preflight.names(app.drift)}")
    if not state.fresh:
        wrong.append("a process of the app server is older than the code")
    if state.chain is not None and not state.database.problem and state.chain.pending(state.database.revisions):
        wrong.append("migrations are pending")
    return tuple(wrong)


def _tail(answer: Answer) -> tuple[str, ...]:
    return tuple((answer.stderr or answer.stdout).strip().splitlines()[-3:])


def hot_update(session: Session, options: Options, *, dry_run: bool, yes: bool) -> None:
    """Bring production to the remote branch and prove it, or say what would be done."""
    settings, report = session.settings, session.report
    decision = decide(session, "hot-update", steps.HOT_UPDATE, "remote", options)
    report.findings([finding for finding in decision.findings if dry_run or finding.level != "ok"])
    decision.refuse(shown=True)
    plan = decision.plan
    if not plan.steps:
        report.nothing_to_do(f"hot-update of {settings.target.name}", decision.state)
    else:
        report.plan(plan)
    if dry_run:
        return
    if plan.steps:
        _agree(settings.target.name, plan.revision, yes=yes)
        carry_out(session, plan, decision.state, decision.run)
    prove(session, plan)
    if plan.steps:
        report.done(settings.target.name, plan.revision)


def _agree(target: str, revision: str, *, yes: bool) -> None:
    """Ask before acting on a terminal; elsewhere the operator must have said so beforehand."""
    if yes:
        return
    if not sys.stdin.isatty():
        raise Failure("nobody can be asked here", remedy="give --yes to act without asking", code=Exit.USAGE)
    if input(f"Update {target} to {revision[:7]}? [y/N] ").strip().lower() not in ("y", "yes"):
        raise Failure("not agreed to, nothing was done", code=Exit.REFUSED)


def health_verb(session: Session, *, watch: bool, as_json: bool) -> None:
    """Ask every check through the connection; raise unless all are healthy."""
    settings, report = session.settings, session.report
    while True:
        checks = health.check(session.host.http(), settings.health.checks, settings.health.request_timeout)
        state = session.read("running")
        if as_json:
            report.health_json(settings.target.name, checks, state)
        else:
            report.health(checks)
            running = report.revision(state)[:7] or "an unknown revision"
            report.line(f"  runs {running}; drift: {preflight.drift(state) or 'none'}")
        if not watch:
            break
        time.sleep(WATCH_PAUSE)
    ill = ", ".join(check.name for check in checks if not check.healthy)
    if ill:
        why = preflight.last_error(settings, state)
        evidence = (f"last error in the logs: {why}",) if why else ()
        remedy = f"inv preflight --target {settings.target.name}"
        raise Failure(f"{settings.target.name} is not healthy: {ill}", evidence=evidence, remedy=remedy)


def _migration_state(session: Session) -> State:
    """Read what is needed to speak of migrations; an app that is ill does not matter."""
    state = session.read("running")
    refuse(
        preflight.judge(session.settings, state, Options()),
        ("tools", "engine", "app container", "postgres", "database"),
    )
    return state


def migrate_current(session: Session) -> None:
    """Tell the database's revision, the heads of the code in the container, and what is pending."""
    state = _migration_state(session)
    chain, database, line = state.chain, state.database, session.report.line
    line(f"database  {', '.join(database.revisions) or ('never stamped' if database.tables else 'empty')}")
    if chain is None or chain.error:
        line(f"code      {chain.error if chain else 'unknown'}")
        return
    line(f"heads     {', '.join(chain.heads) or 'none'}")
    if found := migrations.problem(session.settings, database, chain):
        line(f"problem   {found[0]} → {found[1]}", "yellow")
        return
    if stamp := migrations.stamp(session.settings, database):
        line(f"to stamp  {stamp}")
    pending = migrations.pending(session.settings, database, chain)
    line("pending   " + ("\n          ".join(f"{r.id} {r.message}".strip() for r in pending) or "none"))


def migrate_history(session: Session) -> None:
    """List the migrations of the code in the container, newest first, marking where the database is."""
    state = _migration_state(session)
    if state.chain is None or state.chain.error:
        raise Failure(
            "migrate: Alembic cannot read the migrations", evidence=(state.chain.error if state.chain else "",)
        )
    for revision in reversed(state.chain.revisions):
        here = " (database)" if revision.id in state.database.revisions else ""
        head = " (head)" if revision.id in state.chain.heads else ""
        session.report.line(f"{revision.id} {revision.message}{head}{here}")


def migrate_sql(session: Session) -> None:
    """Print the SQL that an upgrade would run."""
    state = _migration_state(session)
    assert state.app is not None, "the preflight demands the app container"
    pending = migrations.pending(session.settings, state.database, state.chain) if state.chain else ()
    if not pending:
        session.report.line("nothing pending")
        return
    start = migrations.stamp(session.settings, state.database) or ",".join(state.database.revisions)
    script = steps.migrate.sql_script(session.settings, state, start)
    answer = session.host.run(script)
    if answer.status != 0:
        raise Failure("migrate: flask db upgrade --sql failed", evidence=_tail(answer))
    print(answer.stdout, end="")  # noqa: T201 - SQL for a pipe, so nothing may wrap it
