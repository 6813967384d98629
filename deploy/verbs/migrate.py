"""Diagnose migrations: what the database and the code say; and stamp by hand."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from deploy import migrations, preflight, remedies, steps
from deploy.errors import Exit, Failure
from deploy.message import NOTHING, Printed, Told, Value, say
from deploy.plan import Options, Plan, refuse
from deploy.state import State
from deploy.verbs.follow import new_run_id
from deploy.verbs.session import Session, tail
from deploy.verbs.update import carry_out

if TYPE_CHECKING:
    from deploy.report import Row


def stamp(session: Session, revision: str) -> None:
    """Write a revision into alembic_version by hand."""
    state = settled(session)
    if state.chain is not None and not state.chain.knows([revision]):
        raise Failure(
            say("migrate: %s has no revision %s", session.settings.migrate.directory, revision),
            remedy=remedies.list_migrations(session.settings.target.name),
            code=Exit.REFUSED,
        )
    run = new_run_id(state)
    plan = Plan("migrate", "", (steps.migrate.stamp_step(session.settings, state, revision, run),))
    carry_out(session, plan, state, run)


def settled(session: Session) -> State:
    """Read what is needed to speak of migrations; an app that is ill does not matter."""
    state = session.read("running")
    refuse(
        preflight.judge(session.settings, state, Options()),
        ("tools", "engine", "app container", "database"),
    )
    return state


def current(session: Session) -> None:
    """Tell the database's revision, the heads of the code in the container, and what is pending."""
    state = settled(session)
    session.report.rows(_current(session, state))


def _current(session: Session, state: State) -> Iterator["Row"]:
    chain, database = state.chain, state.database
    at: Value = database.revisions or (say("never stamped") if database.tables else say("empty"))
    yield say("database"), say("%s", at)
    if chain is None or chain.error:
        yield say("code"), chain.error if chain else say("unknown")
        return
    heads: Value = chain.heads or say("none")
    yield say("heads"), say("%s", heads)
    if found := migrations.problem(session.settings, database, chain):
        yield say("problem"), say("%s → %s", *found), "yellow"
        return
    if stamp := migrations.stamp(session.settings, database):
        yield say("to stamp"), Printed(stamp)
    pending = migrations.pending(session.settings, database, chain)
    if not pending:
        yield say("pending"), say("none")
    for number, revision in enumerate(pending):
        yield NOTHING if number else say("pending"), revision.title


def history(session: Session) -> None:
    """List the migrations of the code in the container, newest first, marking where the database is."""
    state = settled(session)
    if state.chain is None or state.chain.error:
        evidence = (state.chain.error,) if state.chain else ()
        raise Failure(say("migrate: the migrations cannot be read"), evidence=evidence)
    for revision in reversed(state.chain.revisions):
        told: Told = revision.title
        if revision.id in state.chain.heads:
            told = say("%s (head)", told)
        if revision.id in state.database.revisions:
            told = say("%s (database)", told)
        session.report.line(told)


def sql(session: Session) -> None:
    """Print the SQL that an upgrade would run."""
    state = settled(session)
    assert state.app is not None, "the preflight demands the app container"
    pending = migrations.pending(session.settings, state.database, state.chain) if state.chain else ()
    if not pending:
        session.report.line(say("nothing pending"))
        return
    start = migrations.stamp(session.settings, state.database) or ",".join(state.database.revisions)
    answer = session.host.run(steps.migrate.sql_script(session.settings, state, start))
    if answer.status != 0:
        raise Failure(say("migrate: flask db upgrade --sql failed"), evidence=tail(answer))
    session.report.data(answer.stdout)
