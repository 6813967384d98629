"""Diagnose migrations: what the database and the code say; and stamp by hand."""

from deploy import migrations, output, preflight, remedies, steps
from deploy.errors import Exit, Failure
from deploy.plan import Options, Plan, refuse
from deploy.state import State
from deploy.verbs.follow import new_run_id
from deploy.verbs.session import Session, tail
from deploy.verbs.update import carry_out


def stamp(session: Session, revision: str) -> None:
    """Write a revision into alembic_version by hand."""
    state = _state(session)
    if state.chain is not None and not state.chain.knows([revision]):
        raise Failure(
            f"migrate: {session.settings.migrate.directory} has no revision {revision}",
            remedy=remedies.list_migrations(session.settings.target.name),
            code=Exit.REFUSED,
        )
    run = new_run_id(state)
    plan = Plan("migrate", "", (steps.migrate.stamp_step(session.settings, state, revision, run),))
    carry_out(session, plan, state, run)


def _state(session: Session) -> State:
    """Read what is needed to speak of migrations; an app that is ill does not matter."""
    state = session.read("running")
    refuse(
        preflight.judge(session.settings, state, Options()),
        ("tools", "engine", "app container", "postgres", "database"),
    )
    return state


def current(session: Session) -> None:
    """Tell the database's revision, the heads of the code in the container, and what is pending."""
    state = _state(session)
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
    waiting = [f"{revision.id} {revision.message}".strip() for revision in pending] or ["none"]
    for number, told in enumerate(waiting):
        line(f"{'' if number else 'pending':<10}{told}")


def history(session: Session) -> None:
    """List the migrations of the code in the container, newest first, marking where the database is."""
    state = _state(session)
    if state.chain is None or state.chain.error:
        raise Failure("migrate: the migrations cannot be read", evidence=(state.chain.error if state.chain else "",))
    for revision in reversed(state.chain.revisions):
        here = " (database)" if revision.id in state.database.revisions else ""
        head = " (head)" if revision.id in state.chain.heads else ""
        session.report.line(f"{revision.id} {revision.message}{head}{here}")


def sql(session: Session) -> None:
    """Print the SQL that an upgrade would run."""
    state = _state(session)
    assert state.app is not None, "the preflight demands the app container"
    pending = migrations.pending(session.settings, state.database, state.chain) if state.chain else ()
    if not pending:
        session.report.line("nothing pending")
        return
    start = migrations.stamp(session.settings, state.database) or ",".join(state.database.revisions)
    answer = session.host.run(steps.migrate.sql_script(session.settings, state, start))
    if answer.status != 0:
        raise Failure("migrate: flask db upgrade --sql failed", evidence=tail(answer))
    output.data(answer.stdout)
