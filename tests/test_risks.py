"""Which statements of a migration are told as risky, by the kind of the database."""

from textwrap import indent

import pytest

from deploy.risks import docstring, risks
from deploy.wording import text

HEAD = "import sqlalchemy as sa\nfrom alembic import op\n\n\ndef upgrade():\n"
# Of a file, the number of the line before what upgrade() does.
ABOVE = HEAD.count("\n")
ALL = ("postgres", "mysql", "sqlite")


def rules(body: str, dialect: str = "postgres") -> list[str]:
    return [one.rule for one in risks(HEAD + indent(body, "    "), dialect)]


OUTSIDE = "with op.get_context().autocommit_block():\n    op."
# Each once as it hits, for the kinds that it holds for, and once as it does not.
HITS = [
    ("drop-table", ALL, 'op.drop_table("t")', 'op.create_table("t")'),
    ("drop-column", ALL, 'op.drop_column("t", "c")', 'op.create_table_comment("t", "c")'),
    (
        "change-type",
        ("postgres", "mysql"),
        'op.alter_column("t", "c", type_=sa.Text(), existing_type=sa.Integer())',
        'op.alter_column("t", "c", existing_type=sa.Integer())',
    ),
    (
        "change-type",
        ("postgres", "mysql"),
        'op.alter_column("t", "c", type_=sa.String(20), existing_type=sa.String(length=50))',
        'op.alter_column("t", "c", type_=sa.String(50), existing_type=sa.String(length=20))',
    ),
    (
        "set-not-null",
        ("postgres", "mysql"),
        'op.alter_column("t", "c", nullable=False)',
        'op.alter_column("t", "c", existing_nullable=False)',
    ),
    ("drop-not-null", ALL, 'op.alter_column("t", "c", nullable=True)', 'op.alter_column("t", "c", comment="d")'),
    (
        "drop-default",
        ALL,
        'op.alter_column("t", "c", server_default=None)',
        'op.alter_column("t", "c", server_default="x")',
    ),
    (
        "drop-index",
        ALL,
        'op.drop_index("i", table_name="t")',
        f'{OUTSIDE}drop_index("i", postgresql_concurrently=True)',
    ),
    ("drop-constraint", ALL, 'op.drop_constraint("k", "t", type_="check")', 'op.create_table_comment("t", "k")'),
    (
        "concurrently-in-transaction",
        ("postgres",),
        'op.create_index("i", "t", ["c"], postgresql_concurrently=True)',
        f'{OUTSIDE}create_index("i", "t", ["c"], postgresql_concurrently=True)',
    ),
    (
        "validates-constraint",
        ("postgres",),
        'op.add_column("t", sa.Column("c", sa.Text(), unique=True))',
        'op.add_column("t", sa.Column("c", sa.Text(), unique=False))',
    ),
    (
        "index-blocks-writes",
        ("postgres",),
        'op.add_column("t", sa.Column("c", sa.Text(), index=True))',
        'op.add_column("t", sa.Column("c", sa.Text()))',
    ),
    (
        "not-null-without-default",
        ALL,
        'op.add_column("t", sa.Column("c", sa.Text(), nullable=False))',
        'op.add_column("t", sa.Column("c", sa.Text(), nullable=False, server_default=""))',
    ),
    (
        "volatile-default",
        ("postgres",),
        'op.add_column("t", sa.Column("c", sa.Uuid(), server_default=sa.text("gen_random_uuid()")))',
        'op.add_column("t", sa.Column("c", sa.DateTime(), server_default=sa.func.now()))',
    ),
    (
        "volatile-default",
        ("postgres",),
        'op.add_column("t", sa.Column("c", sa.Text(), server_default=sa.text("of_ours()")))',
        'op.add_column("t", sa.Column("c", sa.Boolean(), server_default=sa.false()))',
    ),
    (
        "volatile-default",
        ("postgres",),
        'op.add_column("t", sa.Column("c", sa.Integer(), sa.Identity()))',
        'op.add_column("t", sa.Column("c", sa.Integer(), sa.Computed("1", persisted=False)))',
    ),
    (
        "index-blocks-writes",
        ("postgres",),
        'op.create_index("i", "t", ["c"])',
        f'{OUTSIDE}create_index("i", "t", ["c"], postgresql_concurrently=True)',
    ),
    (
        "validates-constraint",
        ("postgres", "mysql"),
        'op.create_foreign_key("f", "t", "other", ["c"], ["id"])',
        'op.create_foreign_key("f", "t", "other", ["c"], ["id"], postgresql_not_valid=True)',
    ),
    (
        "validates-constraint",
        ("postgres", "mysql"),
        'op.create_check_constraint("k", "t", "c > 0")',
        'op.create_check_constraint("k", "t", "c > 0", postgresql_not_valid=True)',
    ),
    ("validates-constraint", ("postgres",), 'op.create_unique_constraint("u", "t", ["c"])', 'op.create_table("u")'),
    ("rename-table", ALL, 'op.rename_table("t", "other")', 'op.create_table_comment("t", "other")'),
    ("rename-column", ALL, 'op.alter_column("t", "c", new_column_name="d")', 'op.alter_column("t", "c", comment="d")'),
]


@pytest.mark.parametrize(("rule", "kinds", "hit", "miss"), HITS)
@pytest.mark.parametrize("dialect", ALL)
def test_an_operation_is_told_where_the_kind_of_database_makes_it_risky(
    rule: str, kinds: tuple[str, ...], hit: str, miss: str, dialect: str
) -> None:
    assert rules(hit, dialect) == ([rule] if dialect in kinds else [])
    assert rules(miss) == []


SQL = [
    ("drop-table", ALL, "DROP TABLE IF EXISTS public.t", "CREATE TABLE t (id int)"),
    ("drop", ALL, "DROP VIEW v", "CREATE VIEW v AS SELECT 1"),
    ("truncate", ALL, "truncate t", "SELECT 'truncate t'"),
    ("drop-column", ALL, "ALTER TABLE t DROP COLUMN IF EXISTS c", "ALTER TABLE t ALTER COLUMN c SET DEFAULT 1"),
    ("drop-default", ALL, "ALTER TABLE t ALTER COLUMN c DROP DEFAULT", "ALTER TABLE t ALTER COLUMN c SET DEFAULT 1"),
    ("drop-not-null", ALL, "ALTER TABLE t ALTER c DROP NOT NULL", "ALTER TABLE t ALTER c SET STATISTICS 9"),
    ("drop-index", ALL, "DROP INDEX IF EXISTS i", "CREATE TABLE i (c int)"),
    ("drop-index", ALL, "ALTER TABLE t DROP KEY i", "ALTER TABLE t ADD KEY i (c)"),
    ("drop-constraint", ALL, "ALTER TABLE t DROP CONSTRAINT IF EXISTS k", "ALTER TABLE t VALIDATE CONSTRAINT k"),
    ("drop-constraint", ALL, "ALTER TABLE t DROP PRIMARY KEY", "ALTER TABLE t VALIDATE CONSTRAINT k"),
    ("drop", ALL, "DROP EXTENSION hstore", "CREATE EXTENSION hstore"),
    ("revoke", ALL, "REVOKE SELECT ON t FROM app", "GRANT SELECT ON t TO app"),
    ("rewrites", ALL, "REFRESH MATERIALIZED VIEW v", "REFRESH MATERIALIZED VIEW CONCURRENTLY v"),
    ("volatile-default", ("postgres",), "ALTER TABLE t ADD id bigserial", "ALTER TABLE t ADD id bigint"),
    (
        "volatile-default",
        ("postgres",),
        "ALTER TABLE t ADD c int GENERATED ALWAYS AS (a + b) STORED",
        "ALTER TABLE t ADD c int GENERATED ALWAYS AS (a + b) VIRTUAL",
    ),
    ("validates-constraint", ("postgres",), "ALTER TABLE t ADD c text UNIQUE", "ALTER TABLE t ADD c text"),
    ("concurrently-in-transaction", ("postgres",), "DROP INDEX CONCURRENTLY i", "SELECT 1"),
    ("change-type", ("postgres", "mysql"), "ALTER TABLE t ALTER c TYPE bigint", "ALTER TABLE t ALTER c SET DEFAULT 1"),
    ("change-type", ("postgres", "mysql"), "ALTER TABLE t MODIFY c bigint", "ALTER TABLE t ADD c bigint"),
    (
        "set-not-null",
        ("postgres", "mysql"),
        "ALTER TABLE t ALTER c SET NOT NULL",
        "ALTER TABLE t ALTER c SET DEFAULT 1",
    ),
    (
        "not-null-without-default",
        ALL,
        "ALTER TABLE t ADD COLUMN c int NOT NULL",
        "ALTER TABLE t ADD COLUMN c int NOT NULL DEFAULT 0",
    ),
    (
        "volatile-default",
        ("postgres",),
        "ALTER TABLE t ADD c float DEFAULT random()",
        "ALTER TABLE t ADD c int DEFAULT 1",
    ),
    ("index-blocks-writes", ("postgres",), "CREATE INDEX i ON t (c)", "CREATE TABLE i (c int)"),
    (
        "validates-constraint",
        ("postgres", "mysql"),
        "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (c) REFERENCES o (id)",
        "ALTER TABLE t ADD CONSTRAINT f FOREIGN KEY (c) REFERENCES o (id) NOT VALID",
    ),
    (
        "validates-constraint",
        ("postgres",),
        "ALTER TABLE t ADD CONSTRAINT u UNIQUE (c, d)",
        "ALTER TABLE t ADD CONSTRAINT u UNIQUE USING INDEX i",
    ),
    ("rename-table", ALL, "ALTER TABLE t RENAME TO o", "ALTER TABLE t RENAME CONSTRAINT a TO b"),
    ("rename-column", ALL, "ALTER TABLE t RENAME COLUMN c TO d", "ALTER TABLE t VALIDATE CONSTRAINT k"),
    ("changes-rows", ALL, "UPDATE t SET c = 1", "INSERT INTO t VALUES (1)"),
    ("changes-rows", ALL, "DELETE FROM t WHERE c = 1", "SELECT c FROM t -- DELETE FROM t"),
    ("lock", ALL, "LOCK TABLE t IN EXCLUSIVE MODE", "SELECT 1"),
    ("rewrites", ALL, "REINDEX TABLE t", "SELECT 1"),
    ("alter", ALL, "ALTER TYPE mood ADD VALUE 'x'", "COMMENT ON TABLE t IS 'x'"),
    ("alter", ALL, "ALTER TABLE t SET TABLESPACE fast", "/* ALTER TABLE t SET TABLESPACE fast */ SELECT 1"),
    ("unknown", ALL, "DO $$ BEGIN PERFORM 1; END $$", "SELECT 1"),
]


@pytest.mark.parametrize(("rule", "kinds", "hit", "miss"), SQL)
@pytest.mark.parametrize("dialect", ALL)
def test_sql_is_told_as_the_operation_would_be(
    rule: str, kinds: tuple[str, ...], hit: str, miss: str, dialect: str
) -> None:
    assert rules(f"op.execute({hit!r})", dialect) == ([rule] if dialect in kinds else [])
    assert rules(f"op.execute({miss!r})", dialect) == []


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ('SQL = "DROP TABLE " + "t"\nop.execute(SQL)', ["drop-table"]),
        ('op.get_bind().execute(sa.text("DROP TABLE t; TRUNCATE o"))', ["drop-table", "truncate"]),
        ('op.execute(f"ALTER TABLE {name} DROP COLUMN c")', ["drop-column"]),
        ('op.execute(f"{verb} TABLE t")', ["unknown"]),
        ("op.execute(table.update())", ["unknown"]),
        ("op.execute(open('x.sql').read())", ["unknown"]),
        ('for one in "ab":\n    op.execute("DROP TABLE t")', ["drop-table"]),
    ],
)
def test_sql_is_read_as_far_as_it_is_written_there(body: str, expected: list[str]) -> None:
    assert rules(body) == expected


def test_what_is_done_to_a_table_that_the_migration_makes_itself_disturbs_nobody() -> None:
    assert rules('op.create_table("t")\nop.create_index("i", "t", ["c"])\nop.create_index("j", "o", ["c"])') == [
        "index-blocks-writes"
    ]
    assert rules('op.execute("CREATE TABLE t (c int)")\nop.execute("CREATE INDEX i ON t (c)")') == []


BATCH = 'with op.batch_alter_table("t") as batch_op:\n    batch_op.{}'


def test_in_a_batch_the_table_is_that_of_the_batch() -> None:
    (found,) = risks(HEAD + indent(BATCH.format('drop_column("c")'), "    "), "postgres")
    assert (found.line, found.rule, text(found.words)) == (
        ABOVE + 2,
        "drop-column",
        "drops t.c with its values, while the old code still runs",
    )


def test_a_batch_copies_the_table_of_sqlite_and_of_another_where_it_is_told_to() -> None:
    assert rules(BATCH.format('drop_column("c")'), "sqlite") == ["copies-table", "drop-column"]
    assert rules(BATCH.format('add_column(sa.Column("c", sa.Text()))'), "sqlite") == []
    always = BATCH.replace('"t"', '"t", recreate="always"').format('add_column(sa.Column("c", sa.Text()))')
    assert rules(always, "mysql") == ["copies-table"]


def test_only_what_upgrade_does_is_told_with_the_functions_that_it_calls() -> None:
    source = (
        "from alembic import op as o\n\n\ndef helper():\n    o.drop_table('t')\n\n\n"
        "def upgrade():\n    helper()\n    helper()\n\n\ndef downgrade():\n    o.drop_table('other')\n"
    )
    assert [(one.line, one.rule) for one in risks(source, "postgres")] == [(5, "drop-table")]


def test_a_name_that_is_not_written_there_is_told_as_that() -> None:
    (found,) = risks(HEAD + "    op.drop_table(name())\n", "postgres")
    assert text(found.words) == "drops ? with all its rows, while the old code still runs"


@pytest.mark.parametrize("source", ["def upgrade(:", "x = 1\n", "\0"])
def test_what_cannot_be_read_is_not_taken_for_harmless(source: str) -> None:
    assert [one.rule for one in risks(source, "postgres")] == ["unknown"]


def test_a_docstring_is_told_without_what_alembic_writes_into_it() -> None:
    assert docstring('"""Add notes.\n\nThey may be long.\n\nRevision ID: 1\nRevises: 0\nCreate Date: x\n"""\n') == (
        "Add notes.",
        "They may be long.",
    )
    assert docstring("x = 1") == docstring("def (") == ()


@pytest.mark.parametrize("sql", ["CREATE INDEX CONCURRENTLY i ON t (c)", "REINDEX INDEX CONCURRENTLY i"])
def test_concurrently_fails_in_a_transaction_alone(sql: str) -> None:
    assert rules(f"op.execute({sql!r})") == ["concurrently-in-transaction"]
    assert rules(f"{OUTSIDE}execute({sql!r})") == []


def test_what_a_cascade_takes_with_it_is_not_written_there() -> None:
    assert rules('op.execute("DROP TABLE t CASCADE")') == ["cascade", "drop-table"]
    assert rules('op.execute("TRUNCATE t CASCADE")') == ["cascade", "truncate"]
