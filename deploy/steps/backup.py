"""Dump the database into the host's backup folder, before it is migrated or new code may write to it."""

from deploy import backups, preflight, remedies, shell
from deploy.plan import Options, Step
from deploy.settings import Settings
from deploy.shell import Variable
from deploy.state import State, TargetIs, variables

NEEDS: tuple[str, ...] = ("tools", "engine", "postgres", "database", "backup")
TARGET: TargetIs = "running"
# A dump or its restore is ended after so many seconds.
TIMEOUT = 3600


FOR_PROOF = "the proof may write to the database"


def reason(settings: Settings, state: State, options: Options) -> str:
    if preflight.dumped(settings, state, options):
        return "the database is migrated"
    wanted = settings.backup.before_migration and not options.no_backup
    return FOR_PROOF if wanted and options.proven and settings.proof.database == "writable" else ""


def step(settings: Settings, state: State, options: Options, run: str, proven: bool) -> Step:
    record = state.app.record if state.app else None
    script = shell.script(
        "containers.sh",
        "backups.sh",
        "steps/backup.sh",
        **variables(settings),
        **dump_variables(settings, run),
        version_table=state.database.version_table,
        keep=settings.backup.keep,
        code=record.revision if record and record.complete else "",
    )
    folder = settings.backup.dir or backups.FOLDER
    summary = (
        f"pg_dump {settings.postgres.database} into {folder}, as {run}",
        f"the newest {settings.backup.keep} stay",
    )
    why = reason(settings, state, options) or "asked for"
    return Step("backup", why, script, TIMEOUT + 60, summary, harmless=True)


def dump_variables(settings: Settings, run: str) -> dict[str, Variable]:
    """What backups.sh has to know, beside the shared variables."""
    return {
        "run": run,
        "pg_timeout": TIMEOUT,
        "min_free_mib": settings.preflight.min_free_mib,
        "list_dumps": remedies.list_dumps(settings.target.name),
    }
