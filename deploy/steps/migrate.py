"""Stamp the database where it was never stamped, and upgrade it to the code's head."""

from collections.abc import Mapping
from dataclasses import replace

from deploy import inside, migrations, shell
from deploy.message import Message, Printed, Told, say
from deploy.plan import ASKED_FOR, Options, Step
from deploy.settings import Settings
from deploy.shell import Variable
from deploy.state import State, TargetIs, asking, variables
from deploy.steps import backup, restore

NEEDS: tuple[str, ...] = ("tools", "engine", "app container", "database", "migrations")
TARGET: TargetIs = "running"
# How often a migration is tried that does not get a lock in time.
ATTEMPTS = 4


def reason(settings: Settings, state: State, options: Options) -> Message | None:
    if state.chain is None or not state.chain.heads or options.keep_schema:
        return None
    if migrations.stamp(settings, state.database):
        return say("the database was never stamped")
    waiting = migrations.pending(settings, state.database, state.chain)
    return say("%s pending", len(waiting)) if waiting else None


def step(settings: Settings, state: State, options: Options, run: str, proven: bool) -> Step:
    assert state.chain is not None, "a reason to migrate comes from the chain"
    stamp = migrations.stamp(settings, state.database)
    waiting = migrations.pending(settings, state.database, state.chain)
    summary = (
        *((Printed(shell.sh("flask", "db", "stamp", stamp)),) if stamp else ()),
        *((say("flask db upgrade to %s", state.chain.heads[0]),) if waiting else ()),
        *(() if state.preview else (revision.title for revision in waiting)),
        *((say("without a dump before it"),) if waiting and not backup.reason(settings, state, options) else ()),
    )
    tree = f"{settings.app.record}/tree" if proven else settings.app.path
    asked: dict[str, str | bool] = {
        "stamp": stamp,
        "upgrade": bool(waiting),
        "head": state.chain.heads[0],
        "run": run,
        "tree": tree,
    }
    undoes = restore.undoes(settings, state, options)
    # Without a proof before it, no old code is brought back that would run on the new schema.
    undo = restore.undo(settings, state, options, run) if proven or undoes else ""
    why = reason(settings, state, options) or ASKED_FOR
    made = _step(settings, state, why, summary, asked)
    return replace(made, undo=undo, timeout=made.timeout + (backup.TIMEOUT if undoes else 0))


def stamp_step(settings: Settings, state: State, revision: str, run: str) -> Step:
    """Write a revision into alembic_version without running anything."""
    asked: dict[str, str | bool] = {
        "stamp": revision,
        "upgrade": False,
        "head": "",
        "run": run,
        "tree": settings.app.path,
    }
    return _step(settings, state, ASKED_FOR, (Printed(shell.sh("flask", "db", "stamp", revision)),), asked)


def sql_script(settings: Settings, state: State, start: str) -> str:
    """Build the script that prints the SQL of an upgrade from `start`, running nothing."""
    asked = {"sql": f"{start}:head" if start else "head", "run": "", "tree": settings.app.path}
    return _script(settings, state, asked) + 'session=$read_only\nredacted flask_ upgrade --sql "$sql"\n'


def flask_variables(settings: Settings, state: State) -> dict[str, Variable]:
    """What flask.sh has to know, the tree and the run apart."""
    assert state.app is not None, "the preflight demands the app container"
    return {
        "owner": state.app.owner,
        "app_server": settings.app.server,
        "as_worker": inside.as_worker_program(),
        "environment": tuple(f"{name}={value}" for name, value in settings.migrate.environment.items()),
        "migrate_timeout": settings.migrate.timeout,
        "session": "",
        "version_table": state.database.version_table,
        "read_revisions": " ".join(state.database.revisions),
        "standby": inside.standby(),
    }


def _step(
    settings: Settings, state: State, why: Message, summary: tuple[Told, ...], asked: Mapping[str, str | bool]
) -> Step:
    told: dict[str, Variable] = {
        "lock_timeout": settings.migrate.lock_timeout,
        "attempts": ATTEMPTS,
        "killed_before": state.kills,
    }
    script = shell.assign(**told) + _script(settings, state, asked) + shell.source("steps/migrate.sh")
    return Step("migrate", why, script, _timeout(settings), summary)


def _timeout(settings: Settings) -> int:
    return settings.migrate.timeout + ATTEMPTS * 2 * settings.migrate.lock_timeout + 60


def _script(settings: Settings, state: State, asked: Mapping[str, str | bool]) -> str:
    sources = ("redact.sh", "containers.sh", asking(settings), "schema.sh", "waiting.sh", "flask.sh")
    return shell.script(*sources, **variables(settings), **flask_variables(settings, state), **asked)
