"""The database: whether it answers, how its schema stands to the code, and room for a dump of it."""

from collections.abc import Iterator

from deploy import backups, migrations, remedies
from deploy.plan import Finding, Options
from deploy.settings import Settings
from deploy.state import Chain, State
from deploy.words import names

MIB = 1024 * 1024


def connection(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    postgres = state.containers.get("postgres")
    if postgres is None or not postgres.running:
        return
    if state.database.problem:
        evidence = f"{settings.postgres.database} does not answer: {state.database.problem}"
        yield Finding(
            "refusal", "database", evidence, remedies.see_database(settings.postgres.container, settings.target.sudo)
        )
        return
    at = ", ".join(state.database.revisions) or ("never stamped" if state.database.tables else "empty")
    yield Finding("ok", "database", f"{settings.postgres.database} answers, at {at}")


def schema(settings: Settings, state: State, options: Options) -> Iterator[Finding]:
    if state.app and state.app.migrating:
        evidence = f"a migration runs in {settings.app.container} already: {names(state.app.migrating)}"
        yield Finding("refusal", "migrations", evidence, remedies.AWAIT_MIGRATION)
        return
    if state.chain is None or state.database.problem:
        return
    if options.keep_schema:
        yield _kept_schema(state, state.chain, settings.target.name)
        return
    if problem := migrations.problem(settings, state.database, state.chain):
        yield Finding("refusal", "migrations", *problem)
        return
    stamp = migrations.stamp(settings, state.database)
    pending = migrations.pending(settings, state.database, state.chain)
    stamped = f"to be stamped {stamp}; " if stamp else ""
    waiting = names(tuple(f"{revision.id} {revision.message}".strip() for revision in pending))
    yield Finding("ok", "migrations", stamped + (f"{len(pending)} pending: {waiting}" if pending else "none pending"))


def indexes(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    for index, table in state.database.invalid_indexes:
        evidence = f"{index} on {table} is invalid: its making was cut off, so that it is written and never used"
        postgres = settings.postgres
        remedy = remedies.drop_index(postgres.container, postgres.user, postgres.database, index)
        yield Finding("warning", "indexes", evidence, remedy)


def backup(settings: Settings, state: State, options: Options) -> Iterator[Finding]:
    """Judge the room for a dump as backups.sh does: a dump is at most about as large as the database."""
    free, floor = state.backup_free_mib, settings.preflight.min_free_mib
    if free is None or not state.database.size or not dumped(settings, state, options):
        return
    size = -(-state.database.size // MIB)
    place = f"{free} MiB free for a dump in {settings.backup.dir or backups.FOLDER}"
    if free < size + floor:
        evidence = f"{place}: the database has {size} MiB, and {floor} MiB have to stay free"
        yield Finding("refusal", "backup", evidence, remedies.MAKE_ROOM_FOR_DUMP)
    else:
        yield Finding("ok", "backup", f"{place}, the database has {size} MiB")


def dumped(settings: Settings, state: State, options: Options) -> bool:
    """Is the database dumped, since it is migrated?"""
    if state.chain is None or options.keep_schema or options.no_backup or not settings.backup.before_migration:
        return False
    return bool(migrations.pending(settings, state.database, state.chain))


def _kept_schema(state: State, chain: Chain, target: str) -> Finding:
    """Say what it means that the schema is left as it is."""
    if ahead := migrations.unknown(state.database, chain):
        known = {revision.id for revision in chain.revisions}
        newer = [r for r in (state.app.chain.revisions if state.app and state.app.chain else ()) if r.id not in known]
        told = names(tuple(f"{r.id} {r.message}".strip() for r in newer)) or ", ".join(ahead)
        evidence = f"this code will run on a newer schema: the database has {told}"
        return Finding("warning", "migrations", evidence, remedies.list_dumps(target))
    waiting = chain.pending(state.database.revisions)
    if waiting:
        evidence = f"{len(waiting)} pending, and not run"
        return Finding("warning", "migrations", evidence, remedies.RUN_PENDING)
    return Finding("ok", "migrations", "this code knows the database's revision")
