"""Stamping, pending revisions and what makes an upgrade impossible."""

from dataclasses import replace

import pytest

from deploy import migrations, remedies
from deploy.message import NOTHING, Printed, say
from deploy.state import Chain, Database, Revision, Versions
from tests.build import BASE, CHAIN, HEAD, MIDDLE, SETTINGS
from tests.texts import as_text

INSTANCE_IDS = {"credentials.instance_ids": "ARRAY"}
CALCULATED_AT = "database_size_aggregations.calculated_at"


def unstamped(**columns: str) -> Database:
    return Database(problem=NOTHING, tables=9, columns=columns)


@pytest.mark.parametrize(
    ("columns", "revision"),
    [
        (INSTANCE_IDS, BASE),
        (INSTANCE_IDS | {CALCULATED_AT: "timestamp with time zone"}, BASE),
        ({CALCULATED_AT: "timestamp without time zone"}, MIDDLE),
        ({CALCULATED_AT: "timestamp with time zone"}, HEAD),
        ({CALCULATED_AT: "date"}, ""),
        ({}, ""),
    ],
)
def test_a_database_that_was_never_stamped_gets_the_revision_that_its_schema_shows(
    columns: dict[str, str], revision: str
) -> None:
    assert migrations.stamp(SETTINGS, unstamped(**columns)) == revision


def test_a_stamped_database_is_not_stamped_again() -> None:
    assert (
        migrations.stamp(SETTINGS, Database(problem=NOTHING, tables=9, revisions=(MIDDLE,), columns=INSTANCE_IDS)) == ""
    )


def test_an_empty_database_is_simply_upgraded() -> None:
    empty = Database(problem=NOTHING)
    assert migrations.stamp(SETTINGS, empty) == ""
    assert migrations.problem(SETTINGS, empty, CHAIN) is None
    assert [revision.id for revision in migrations.pending(SETTINGS, empty, CHAIN)] == [BASE, MIDDLE, HEAD]


def test_a_database_with_a_trace_of_a_revision_is_not_stamped() -> None:
    database = replace(unstamped(**INSTANCE_IDS), traces=(say("there is the table %s", "ops.versions"),))
    assert migrations.stamp(SETTINGS, database) == ""
    evidence = "the database has tables and no revision, but it had one: there is the table ops.versions"
    problem = migrations.problem(SETTINGS, database, CHAIN)
    assert as_text(problem) == (evidence, as_text(remedies.find_revision(SETTINGS.target.name)))


def test_a_revision_too_long_for_its_column_is_found_beforehand() -> None:
    chain = Chain(heads=("r" * 33,), revisions=(*CHAIN.revisions, Revision("r" * 33, (HEAD,), NOTHING)))
    database = Database(problem=NOTHING, tables=9, revisions=(HEAD,), version_table="public.alembic_version")
    found = migrations.problem(SETTINGS, database, chain)
    assert found is not None
    assert as_text(found[0]) == f"the revision {'r' * 33} has 33 characters, and version_num takes 32"
    assert migrations.problem(SETTINGS, replace(database, longest_revision=33), chain) is None
    assert migrations.problem(SETTINGS, replace(database, longest_revision=0), chain) is None


def test_it_is_not_guessed_which_of_several_tables_is_alembics() -> None:
    database = Database(problem=NOTHING, tables=9, versions=(Versions("a.v", ("1",)), Versions("b.v")))
    found = migrations.problem(SETTINGS, database, CHAIN)
    assert found is not None
    assert as_text(found[0]) == "which of these tables is Alembic's is not known: a.v at 1, b.v at no revision"


def test_what_is_pending_follows_the_stamp() -> None:
    pending = migrations.pending(SETTINGS, unstamped(**INSTANCE_IDS), CHAIN)
    assert [revision.id for revision in pending] == [MIDDLE, HEAD]


def test_nothing_is_pending_at_the_head() -> None:
    assert CHAIN.pending((HEAD,)) == ()


def test_both_branches_of_a_merge_are_applied_below_it() -> None:
    merged = Chain(
        heads=("m",),
        revisions=(
            Revision("a", (), NOTHING),
            Revision("b", ("a",), NOTHING),
            Revision("c", ("a",), NOTHING),
            Revision("m", ("b", "c"), NOTHING),
        ),
    )
    assert [revision.id for revision in merged.pending(("b",))] == ["c", "m"]
    assert merged.pending(("m",)) == ()


def test_what_an_applied_revision_depends_on_is_applied() -> None:
    branches = (
        Revision("a", (), NOTHING),
        Revision("b", (), NOTHING),
        Revision("c", ("a",), NOTHING, ("b",)),
        Revision("m", ("b", "c"), NOTHING),
    )
    assert [revision.id for revision in Chain(("m",), branches).pending(("c",))] == ["m"]


def test_a_release_without_migrations_is_no_problem() -> None:
    assert migrations.problem(SETTINGS, unstamped(), Chain()) is None


@pytest.mark.parametrize(
    ("database", "chain", "evidence"),
    [
        (
            unstamped(),
            CHAIN,
            "the database has tables, was never stamped, and no rule under migrate.stamp matches its schema",
        ),
        (
            Database(problem=NOTHING, tables=1, revisions=("beef",)),
            CHAIN,
            "the database is at beef, which this code does not know",
        ),
        (Database(problem=NOTHING), Chain(heads=("a", "b")), "migrations has 2 heads: a, b"),
        (
            Database(problem=NOTHING),
            Chain(error=Printed("SyntaxError")),
            "the migrations in migrations cannot be read: SyntaxError",
        ),
    ],
)
def test_an_impossible_upgrade_is_told_with_its_reason(database: Database, chain: Chain, evidence: str) -> None:
    problem = migrations.problem(SETTINGS, database, chain)
    assert problem is not None
    assert as_text(problem[0]) == evidence
