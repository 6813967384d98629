"""What to do about the database: which revision to stamp, what is pending, what makes it impossible."""

from deploy import remedies
from deploy.message import Message, say
from deploy.settings import Settings
from deploy.state import Chain, Database, Revision


def unstamped(database: Database) -> bool:
    """A database with tables and no revision: created from SQL files and never stamped."""
    return bool(database.tables) and not database.revisions


def stamp(settings: Settings, database: Database) -> str:
    """The revision that an unstamped database's schema shows: that of the first rule that matches, else nothing."""
    if not unstamped(database) or database.traces:
        return ""
    for rule in settings.migrate.stamp:
        if all(_shows(database, column, wanted) for column, wanted in rule.columns.items()):
            return rule.revision
    return ""


def pending(settings: Settings, database: Database, chain: Chain) -> tuple[Revision, ...]:
    """The revisions that an upgrade would run, after the stamp that it begins with."""
    stamped = stamp(settings, database)
    return chain.pending((stamped,) if stamped else database.revisions)


def unknown(database: Database, chain: Chain) -> tuple[str, ...]:
    """The revisions of the database that the code does not know: it runs on a newer schema."""
    return tuple(revision for revision in database.revisions if not chain.knows([revision]))


def problem(settings: Settings, database: Database, chain: Chain) -> tuple[Message, Message] | None:
    """What makes an upgrade to the chain's head impossible (evidence, remedy), or None."""
    directory = settings.migrate.directory
    if chain.error:
        return say("the migrations in %s cannot be read: %s", directory, chain.error), remedies.MEND_RELEASE
    if not chain.heads and not database.revisions:
        return None
    if len(chain.heads) > 1:
        return (
            say("%s has %s heads: %s", directory, len(chain.heads), chain.heads),
            remedies.MERGE_HEADS,
        )
    if database.versions and not database.version_table:
        tables = tuple(
            say("%s at %s", one.table, " ".join(one.revisions))
            if one.revisions
            else say("%s at no revision", one.table)
            for one in database.versions
        )
        return say("which of these tables is Alembic's is not known: %s", tables), remedies.NAME_VERSION_TABLE
    if unstamped(database) and database.traces:
        evidence = say("the database has tables and no revision, but it had one: %s", database.traces[0])
        return evidence, remedies.find_revision(settings.target.name)
    if unstamped(database) and not stamp(settings, database):
        evidence = say("the database has tables, was never stamped, and no rule under migrate.stamp matches its schema")
        return evidence, remedies.find_revision(settings.target.name)
    if newer := unknown(database, chain):
        evidence = say("the database is at %s, which this code does not know", newer)
        return (
            evidence,
            remedies.keep_schema(settings.target.name),
        )
    rule = stamp(settings, database)
    if rule and not chain.knows([rule]):
        return say("the schema shows %s, which %s does not have", rule, directory), remedies.CHANGE_STAMP
    longest = database.longest_revision
    for revision in pending(settings, database, chain):
        if longest and len(revision.id) > longest:
            evidence = say(
                "the revision %s has %s characters, and version_num takes %s", revision.id, len(revision.id), longest
            )
            return evidence, remedies.SHORTEN_REVISION
    return None


def _shows(database: Database, column: str, wanted: str) -> bool:
    found = database.columns.get(column)
    match wanted:
        case "present":
            return found is not None
        case "absent":
            return found is None
        case _:
            return found == wanted
