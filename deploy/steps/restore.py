"""Restore a dump beside the database in use, then let the two change their names while the app is stopped."""

from typing import Literal

from deploy import compose, shell
from deploy.message import Printed, say
from deploy.plan import ASKED_FOR, Options, Step
from deploy.settings import Settings
from deploy.state import State, asking, dumping, variables
from deploy.steps import backup, serving

NEEDS: tuple[str, ...] = ("tools", "engine", "compose", "app container", "database")


def needs(settings: Settings, state: State) -> tuple[str, ...]:
    """The checks that a restore cannot do without: that may be what the app's container does not run for."""
    app = state.containers.get("app")
    stopped = app is not None and app.service == settings.app.service and not app.running
    return tuple(one for one in NEEDS if one != "app container" or not (stopped and settings.database.in_service))


def steps(settings: Settings, state: State, dump: str, run: str) -> tuple[Step, Step]:
    """Bring back the dump of this id; the first step leaves the database in use alone."""
    name = settings.database.name
    restore = Step(
        "restore",
        ASKED_FOR,
        script(settings, state, run, "steps/restore.sh", backup=dump),
        backup.TIMEOUT + 60,
        (
            say("check the dump %s", dump)
            if settings.database.kind == "sqlite"
            else say("restore the dump %s into a new database beside %s", dump, name),
            say("check its revision and its tables"),
        ),
        harmless=True,
    )
    swap = Step(
        "swap",
        ASKED_FOR,
        script(settings, state, run, "steps/swap.sh", "steps/restart.sh", before="healthy", backup=dump),
        settings.restart.timeout + 180,
        (
            Printed(compose.control(settings, state, "stop")),
            say("rename %s, and give its name to the restored one", name)
            if settings.database.kind == "postgres"
            else say("keep what is in %s on the host, and put the dump in its place", name),
            say("start the app, wait up to %s s for %s", settings.restart.timeout, serving.check(settings).url),
            say("drop the old one once health is confirmed"),
        ),
        undo=script(settings, state, run, "steps/swap.undo.sh", "steps/restart.sh"),
    )
    return restore, swap


def undoes(settings: Settings, state: State, options: Options) -> bool:
    """Tell whether the undo of an update brings back the dump that it made before its migration."""
    wanted = settings.undo.database == "restore" and bool(backup.reason(settings, state, options))
    return wanted and not writers(settings, state)


def writers(settings: Settings, state: State) -> tuple[str, ...]:
    """Name the containers that are not stopped, and would go on writing to a database that is replaced in its place."""
    return () if settings.database.kind == "postgres" else tuple(other.name for other in state.others)


def undo(settings: Settings, state: State, options: Options, run: str) -> str:
    """Say where the undo of a migration leaves the database, or bring back the dump of this run."""
    restores = undoes(settings, state, options)
    return script(
        settings,
        state,
        run,
        "schema.sh",
        "steps/migrate.undo.sh",
        *(("steps/restart.sh",) if restores else ()),
        backup=run if backup.reason(settings, state, options) else "",
        was=" ".join(state.database.revisions),
        target=settings.target.name,
        undo_database="restore" if restores else "keep",
    )


def script(
    settings: Settings,
    state: State,
    run: str,
    *sources: str,
    before: Literal["healthy", "ill", "as read"] = "as read",
    **told: str,
) -> str:
    """Build a script that works with dumps and may start the app, which has to answer then unless it was ill before."""
    if before == "as read":
        before = "healthy" if state.answering else "ill"
    return shell.script(
        "containers.sh",
        asking(settings),
        dumping(settings),
        "backups.sh",
        *sources,
        **variables(settings),
        **backup.dump_variables(settings, run),
        version_table=state.database.version_table,
        **serving.variables(settings, state, before=before),
        **told,
    )
