"""Stamp the database where it was never stamped, and upgrade it to the code's head."""

from deploy import migrations, preflight, shell
from deploy.plan import Options, Step
from deploy.settings import Settings
from deploy.state import State, TargetIs, variables

NEEDS: tuple[str, ...] = ("tools", "engine", "app container", *preflight.DATABASE)
TARGET: TargetIs = "running"


def reason(settings: Settings, state: State, options: Options) -> str:
    if state.chain is None:
        return ""
    if migrations.stamp(settings, state.database):
        return "the database was never stamped"
    waiting = migrations.pending(settings, state.database, state.chain)
    return f"{len(waiting)} pending" if waiting else ""


def step(settings: Settings, state: State, options: Options, run: str) -> Step:
    assert state.chain is not None, "a reason to migrate comes from the chain"
    stamp = migrations.stamp(settings, state.database)
    waiting = migrations.pending(settings, state.database, state.chain)
    summary = (
        *((f"flask db stamp {stamp}",) if stamp else ()),
        *((f"flask db upgrade to {state.chain.heads[0]}",) if waiting else ()),
        *(f"{revision.id} {revision.message}".strip() for revision in waiting),
    )
    return _step(
        settings,
        state,
        reason(settings, state, options),
        summary,
        stamp,
        upgrade=bool(waiting),
        head=state.chain.heads[0],
    )


def stamp_step(settings: Settings, state: State, revision: str) -> Step:
    """Write a revision into alembic_version without running anything."""
    return _step(settings, state, "asked for", (f"flask db stamp {revision}",), revision, upgrade=False, head="")


def sql_script(settings: Settings, state: State, start: str) -> str:
    """Build the script that prints the SQL of an upgrade from `start`, running nothing."""
    return _script(settings, state, sql=f"{start}:head" if start else "head") + 'flask_ upgrade --sql "$sql" | redact\n'


def _step(
    settings: Settings, state: State, why: str, summary: tuple[str, ...], stamp: str, *, upgrade: bool, head: str
) -> Step:
    body = shell.source("steps/migrate.sh")
    script = _script(settings, state, stamp=stamp, upgrade=upgrade, head=head) + body
    return Step("migrate", why, script, settings.migrate.timeout + 60, summary)


def _script(settings: Settings, state: State, **own: str | int) -> str:
    assert state.app is not None, "the preflight demands the app container"
    return shell.script(
        "redact.sh",
        "containers.sh",
        "flask.sh",
        **variables(settings),
        **own,
        owner=state.app.owner,
        environment=tuple(f"{name}={value}" for name, value in settings.migrate.environment.items()),
        migrate_timeout=settings.migrate.timeout,
    )
