"""The database: whether it answers, how its schema stands to the code, and room for a dump of it."""

from collections.abc import Iterator

from deploy import backups, migrations, remedies
from deploy.message import Message, Value, say
from deploy.plan import Finding, Options
from deploy.settings import Settings
from deploy.state import Chain, State
from deploy.words import names

MIB = 1024 * 1024


def connection(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    database, container = settings.database, state.containers.get("database")
    if state.database.none or (database.in_service and (container is None or not container.running)):
        return
    if state.database.problem:
        evidence = say("%s does not answer: %s", database.name, state.database.problem)
        remedy = remedies.SET_DATABASE if database.url else remedies.SET_FILE
        if container:
            remedy = remedies.see_database(database.container, settings.target.sudo)
        yield Finding("refusal", "database", evidence, remedy)
        return
    at: Value = state.database.revisions or (say("never stamped") if state.database.tables else say("empty"))
    yield Finding("ok", "database", say("%s answers, at %s", database.name, at))


def schema(settings: Settings, state: State, options: Options) -> Iterator[Finding]:
    if state.database.none:
        return
    if state.app and state.app.migrating:
        evidence = say("a migration runs in %s already: %s", settings.app.container, names(state.app.migrating))
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
    waiting = names(tuple(revision.title for revision in pending))
    told = say("%s pending: %s", len(pending), waiting) if pending else say("none pending")
    yield Finding("ok", "migrations", say("to be stamped %s; %s", stamp, told) if stamp else told)


def indexes(settings: Settings, state: State, _: Options) -> Iterator[Finding]:
    for index, table in state.database.invalid_indexes:
        evidence = say(
            "%s on %s is invalid: its making was cut off, so that it is written and never used", index, table
        )
        there = settings.database
        container = there.container if there.in_service else ""
        remedy = remedies.drop_index(container, there.user, there.name, index)
        yield Finding("warning", "indexes", evidence, remedy)


def sessions(settings: Settings, state: State, options: Options) -> Iterator[Finding]:
    """Who keeps a transaction open may hold what a migration waits for."""
    if state.chain is None or options.keep_schema or not migrations.pending(settings, state.database, state.chain):
        return
    for session, told in state.database.idle:
        evidence = say("idle in a transaction, so that migrations may wait for its locks: %s", told)
        yield Finding("warning", "sessions", evidence, remedies.end_session_first(session))


def backup(settings: Settings, state: State, options: Options) -> Iterator[Finding]:
    """Judge the room for a dump as backups.sh does: a dump is at most about as large as the database."""
    free, floor = state.backup_free_mib, settings.preflight.min_free_mib
    if not dumped(settings, state, options):
        return
    if lacks := undumpable(settings, state):
        yield Finding("refusal", "backup", lacks, remedies.NAME_CLIENT)
        return
    if free is None or not state.database.size:
        return
    size = -(-state.database.size // MIB)
    place = say("%s MiB free for a dump in %s", free, backups.place(settings.backup.dir))
    if free < size + floor:
        evidence = say("%s: the database has %s MiB, and %s MiB have to stay free", place, size, floor)
        yield Finding("refusal", "backup", evidence, remedies.MAKE_ROOM_FOR_DUMP)
    else:
        yield Finding("ok", "backup", say("%s, the database has %s MiB", place, size))


def undumpable(settings: Settings, state: State) -> Message | None:
    """Say why no dump can be made; nothing where one can."""
    client = state.database.client
    if not settings.dumpable:
        return say(
            "%s has no container of its own, and backup.client names no other with its programs", settings.database.name
        )
    if client and not client[1]:
        return say("there is no program in %s that can dump %s", client[0], settings.database.name)
    return None


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
        told = names(tuple(r.title for r in newer)) if newer else ahead
        evidence = say("this code will run on a newer schema: the database has %s", told)
        return Finding("warning", "migrations", evidence, remedies.list_dumps(target))
    waiting = chain.pending(state.database.revisions)
    if waiting:
        evidence = say("%s pending, and not run", len(waiting))
        return Finding("warning", "migrations", evidence, remedies.RUN_PENDING)
    return Finding("ok", "migrations", say("this code knows the database's revision"))
