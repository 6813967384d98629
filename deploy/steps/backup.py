"""Dump the database into the host's backup folder, before it is migrated or new code may write to it."""

from collections.abc import Mapping

from deploy import backups, preflight, remedies, shell
from deploy.message import Message, Value, pack, say
from deploy.plan import ASKED_FOR, Options, Step
from deploy.settings import Settings
from deploy.shell import Variable
from deploy.state import State, TargetIs, asking, dumping, variables

NEEDS: tuple[str, ...] = ("tools", "engine", "database", "backup")
TARGET: TargetIs = "running"
# A dump or its restore is ended after so many seconds.
TIMEOUT = 3600


# What a dump is made by.
PROGRAMS: Mapping[str, Value] = {"postgres": "pg_dump", "mysql": "mysqldump", "sqlite": say("copy")}
FOR_PROOF = say("the proof may write to the database")


def reason(settings: Settings, state: State, options: Options) -> Message | None:
    if options.elsewhere:
        return None
    if preflight.dumped(settings, state, options):
        return say("the database is migrated")
    wanted = settings.backup.before_migration and not options.no_backup
    return FOR_PROOF if wanted and options.proven and settings.proof_writes and settings.dumpable else None


def step(settings: Settings, state: State, options: Options, run: str, proven: bool) -> Step:
    record = state.app.record if state.app else None
    script = shell.script(
        "containers.sh",
        asking(settings),
        dumping(settings),
        "backups.sh",
        "steps/backup.sh",
        **variables(settings),
        **dump_variables(settings, run),
        version_table=state.database.version_table,
        keep=settings.backup.keep,
        code=record.revision if record and record.complete else "",
    )
    folder = backups.place(settings.backup.dir)
    summary = (
        say("%s %s into %s, as %s", PROGRAMS[settings.database.kind], settings.database.name, folder, run),
        say("the newest %s stay", settings.backup.keep),
    )
    why = reason(settings, state, options) or ASKED_FOR
    return Step("backup", why, script, TIMEOUT + 60, summary, harmless=True)


def dump_variables(settings: Settings, run: str) -> dict[str, Variable]:
    """What backups.sh has to know, beside the shared variables."""
    return {
        "run": run,
        "dump_timeout": TIMEOUT,
        "min_free_mib": settings.preflight.min_free_mib,
        "list_dumps": pack(remedies.list_dumps(settings.target.name)),
    }
