"""Dump the database, list the dumps, bring one back."""

from deploy import backups, output, preflight, releases, remedies, steps
from deploy.backups import Backup
from deploy.errors import Exit, Failure
from deploy.plan import Options, Plan, refuse
from deploy.state import State
from deploy.verbs.follow import new_run_id
from deploy.verbs.session import Session
from deploy.verbs.update import carry_out


def show(session: Session) -> None:
    """List the dumps, the newest first."""
    session.report.backups(session.dumps())


def restore(session: Session, wanted: str, *, yes: bool) -> None:
    """Make a dump the database, by default the newest, and prove that production is healthy with it."""
    settings, report = session.settings, session.report
    found = session.dumps()
    dump = found.find(wanted, settings.target.name)
    state = session.read("running")
    findings = preflight.judge(settings, state, Options())
    refuse(findings, (*steps.restore.NEEDS, *(("env",) if state.env == "unreadable" else ())))
    run = new_run_id(state)
    parts = steps.restore.steps(settings, state, dump.id, run)
    plan = Plan("restore", "", parts, confirm=settings.confirm.timeout)
    report.plan(plan)
    report.line(
        f"! what was written since the dump was made, {backups.age(found.now - dump.made)} ago, is lost", "yellow"
    )
    if told := _mismatch(state, dump, settings.target.name):
        report.line(f"! {told}", "yellow")
    _agree(settings.postgres.database, yes=yes)
    carry_out(session, plan, state, run)
    report.restored(settings.target.name, settings.postgres.database, dump)


def _mismatch(state: State, dump: Backup, target: str) -> str:
    """Say how the code that runs, which stays, differs from the schema of the dump; nothing where it does not."""
    chain = state.chain
    if chain is None or chain.error:
        return ""
    running = releases.running(state)
    code = f"the code stays at {running[:7] or 'what runs'}"
    other = dump.code not in ("", running)
    fits = f"; inv rollback --to {dump.code[:7]} --target {target} brings the code of then" if other else ""
    at = ", ".join(dump.revisions) or "no revision"
    if not chain.knows(dump.revisions):
        return f"{code}, which does not know the dump's revision {at}{fits}"
    waiting = chain.pending(dump.revisions)
    return f"{code}, newer than the schema of the dump ({at}): {len(waiting)} pending then{fits}" if waiting else ""


def _agree(database: str, *, yes: bool) -> None:
    """Have the database's name typed: nobody restores the wrong one by pressing y."""
    if yes:
        return
    if not output.can_ask():
        raise Failure("nobody can be asked here", remedy=remedies.GIVE_YES, code=Exit.USAGE)
    if output.ask(f"Type the database's name, {database}, to restore it: ") != database:
        raise Failure("not agreed to, nothing was done", code=Exit.REFUSED)
