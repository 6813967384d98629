"""Dump the database, list the dumps, bring one back."""

from deploy import backups, output, preflight, releases, remedies, steps, words
from deploy.backups import Backup
from deploy.errors import Exit, Failure
from deploy.message import Message, Value, say
from deploy.plan import Options, Plan, refuse
from deploy.state import State
from deploy.verbs.follow import new_run_id
from deploy.verbs.session import Session
from deploy.verbs.telling import Telling, facts_of
from deploy.verbs.update import carry_out


def show(session: Session) -> None:
    """List the dumps, the newest first."""
    session.report.backups(session.dumps())


def restore(session: Session, wanted: str, *, yes: bool) -> None:
    """Make a dump the database, by default the newest, and prove that production is healthy with it."""
    found, report = session.dumps(), session.report
    dump = found.find(wanted, session.settings.target.name)
    state = session.read("running")
    settings = session.settings
    findings = preflight.judge(settings, state, Options())
    refuse(findings, (*steps.restore.needs(settings, state), *(("env",) if state.env == "unreadable" else ())))
    if writers := steps.restore.writers(settings, state):
        fact = say("%s would go on writing to the database while it is replaced", words.names(writers))
        raise Failure(fact, remedy=remedies.stop_containers(settings.target.sudo, *writers), code=Exit.REFUSED)
    run = new_run_id(state)
    parts = steps.restore.steps(settings, state, dump.id, run)
    plan = Plan("restore", "", parts, confirm=settings.confirm.timeout)
    report.plan(plan)
    age = backups.age(found.now - dump.made)
    report.line(say("! what was written since the dump was made, %s ago, is lost", age), "yellow")
    if told := _mismatch(state, dump, settings.target.name):
        report.line(say("! %s", told), "yellow")
    _agree(session, settings.database.name, yes=yes)
    facts = facts_of(settings.target.name, plan.verb, run, releases.running(state), "")
    with Telling(settings, report, (session,), facts) as telling:
        telling.begin()
        carry_out(session, plan, state, run)
    report.restored(settings.target.name, settings.database.name, dump)


def _mismatch(state: State, dump: Backup, target: str) -> Message | None:
    """Say how the code that runs, which stays, differs from the schema of the dump; nothing where it does not."""
    chain = state.chain
    if chain is None or chain.error:
        return None
    running = releases.running(state)
    code = say("the code stays at %s", running[:7] or say("what runs"))
    at: Value = dump.revisions or say("no revision")
    waiting = chain.pending(dump.revisions)
    if not chain.knows(dump.revisions):
        told = say("%s, which does not know the dump's revision %s", code, at)
    elif waiting:
        told = say("%s, newer than the schema of the dump (%s): %s pending then", code, at, len(waiting))
    else:
        return None
    if dump.code in ("", running):
        return told
    return say("%s; %s", told, remedies.bring_code(dump.code[:7], target))


def _agree(session: Session, database: str, *, yes: bool) -> None:
    """Have the database's name typed: nobody restores the wrong one by pressing y."""
    if yes:
        return
    if not output.can_ask():
        raise Failure(say("nobody can be asked here"), remedy=remedies.GIVE_YES, code=Exit.USAGE)
    if session.report.ask(say("Type the database's name, %s, to restore it: ", database)) != database:
        raise Failure(say("not agreed to, nothing was done"), code=Exit.REFUSED)
