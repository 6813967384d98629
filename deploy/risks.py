"""What a migration may do to those who use the database meanwhile, by what its source shows; nothing of it is run.

The sources of the rules: PostgreSQL's pages "ALTER TABLE" (its notes on rewrites and scans), "CREATE INDEX", "DROP
INDEX" and "Explicit Locking"; MySQL's "Online DDL Operations" and MariaDB's "InnoDB Online DDL Operations"; SQLite's
"ALTER TABLE"; Alembic's "Running Batch Migrations". Which statements the linters squawk and strong_migrations mind was
held against them.
"""

import ast
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from deploy.message import Message, say

# PostgreSQL asks these again for every row, so a column with such a default has the table written anew.
_VOLATILE = re.compile(r"\b(gen_random_uuid|uuid_generate_v\w+|random|clock_timestamp|timeofday|nextval)\b", re.I)
# And these once.
_STABLE = re.compile(r"\b(now|timezone|current_\w+|localtime\w*|statement_timestamp|transaction_timestamp)\b", re.I)
# What Alembic does to a SQLite table without copying it.
_IN_PLACE = {"add_column", "create_index", "drop_index", "f"}
# What stands for a part of a text that is not written there.
_UNKNOWN = "\N{REPLACEMENT CHARACTER}"
# Texts and comments of SQL, whichever begins first.
_ASIDE = re.compile(r"'(?:[^']|'')*'|--[^\n]*|/\*.*?\*/", re.DOTALL)
# What PostgreSQL writes a table anew for, since each row gets a value of its own.
_NUMBERED = r"^ADD (?:COLUMN )?\S+ (?:SMALL|BIG)?SERIAL\b|\bGENERATED\b.*\b(?:IDENTITY|STORED)\b"
_DROPPED = (
    "SCHEMA|DATABASE|VIEW|MATERIALIZED VIEW|TYPE|DOMAIN|SEQUENCE|FUNCTION|PROCEDURE|AGGREGATE|TRIGGER|POLICY|EXTENSION"
)
_REWRITES = r"(VACUUM\b.*\bFULL|CLUSTER\b|REINDEX\b(?!.*CONCURRENTLY)|OPTIMIZE TABLE|REFRESH MATERIALIZED VIEW (?!C))"
_FUNCTION = re.compile(r"(?<!:)\b\w+\(")
_NAME = r'(?:IF (?:NOT )?EXISTS |ONLY )*((?:[\w$."`]|\ufffd)+)'


@dataclass(frozen=True)
class Risk:
    """A statement that others may notice: its line, the rule that it falls under, and what it does."""

    line: int
    rule: str
    words: Message


@dataclass(frozen=True)
class _Call:
    """An operation on a table; in a batch the table is not among its arguments."""

    name: str
    node: ast.Call
    table: str
    arguments: tuple[ast.expr, ...]

    def get(self, keyword: str, place: int = -1) -> ast.expr | None:
        named = next((one.value for one in self.node.keywords if one.arg == keyword), None)
        return self.arguments[place] if named is None and 0 <= place < len(self.arguments) else named

    def is_set(self, keyword: str) -> bool:
        value = self.get(keyword)
        return value is not None and not (isinstance(value, ast.Constant) and not value.value)


@dataclass
class _Upgrade:
    """What is known while a migration is read: names for texts, for batches and for Alembic's operations."""

    dialect: str
    texts: dict[str, str] = field(default_factory=dict)
    batches: dict[str, str] = field(default_factory=dict)
    operations: set[str] = field(default_factory=set)
    # The tables that it makes itself: nobody uses them yet.
    made: set[str] = field(default_factory=set)
    # What is outside of its transaction, by the node's id.
    outside: set[int] = field(default_factory=set)


def docstring(source: str) -> tuple[str, ...]:
    """Give the lines in which a migration tells what it does, without what Alembic writes below them."""
    try:
        lines = (ast.get_docstring(_parsed(source)) or "").splitlines()
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    told = (line.rstrip() for line in lines if not re.match(r"(Revision ID|Revises|Create Date):", line))
    return tuple(line for line in told if line)


def risks(source: str, dialect: str) -> tuple[Risk, ...]:
    """Find the statements of a migration's upgrade() that others may notice, by the kind of the database."""
    try:
        module = _parsed(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        line = getattr(error, "lineno", None) or 1
        return (Risk(line, "unknown", say("what it does cannot be told: it cannot be parsed")),)
    called = _called(module)
    if not called:
        return (Risk(1, "unknown", say("what it does cannot be told: it has no upgrade()")),)
    known = _Upgrade(dialect)
    for statement in module.body:
        _learn(known, statement)
    for function in called:
        for node in ast.walk(function):
            _learn(known, node)
    found = {risk for function in called for node in ast.walk(function) for risk in _of_node(known, node)}
    return tuple(sorted(found, key=lambda one: (one.line, one.rule, repr(one.words))))


def _parsed(source: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return ast.parse(source)


def _called(module: ast.Module) -> list[ast.FunctionDef]:
    """Give upgrade() and the functions of the file that it calls."""
    functions = {one.name: one for one in module.body if isinstance(one, ast.FunctionDef)}
    # With several databases Flask-Migrate has one function for each.
    called = [name for name in functions if name == "upgrade" or name.startswith("upgrade_")]
    for one in called:
        for node in ast.walk(functions[one]):
            match node:
                case ast.Call(func=ast.Name(name)) if name in functions and name not in called:
                    called.append(name)
    return [functions[name] for name in called]


def _learn(known: _Upgrade, node: ast.AST) -> None:
    """Note what a statement gives a name to, and the tables that it makes."""
    match node:
        case ast.ImportFrom(module="alembic", names=names):
            known.operations |= {one.asname or one.name for one in names if one.name == "op"}
        case (
            ast.Assign(targets=[ast.Name(name)], value=value)
            | ast.AnnAssign(target=ast.Name(name), value=ast.expr() as value)
        ):
            # A name for two texts is a name for none.
            text = _text(known, value)
            known.texts[name] = text if text and name not in known.texts else _UNKNOWN
        case ast.With(items=items):
            if any(isinstance(one.context_expr, ast.Call) and _is_autocommit(one.context_expr) for one in items):
                known.outside |= set(map(id, ast.walk(node)))
            for item in items:
                call = item.context_expr
                if not isinstance(call, ast.Call) or _operation(known, call) != "batch_alter_table":
                    continue
                if isinstance(item.optional_vars, ast.Name):
                    known.batches[item.optional_vars.id] = _named(known, _first(call, "table_name"))
        case ast.Call() if _operation(known, node) == "create_table":
            known.made |= {_named(known, _first(node, "table_name"))} - {"?"}
        case ast.Call() if _is_sql(node):
            for created in re.findall(rf"\bCREATE TABLE {_NAME}", _sql(known, node) or "", re.I):
                known.made.add(_plain(created))


def _of_node(known: _Upgrade, node: ast.AST) -> Iterator[Risk]:
    if isinstance(node, ast.With):
        yield from _of_batch(known, node)
    if not isinstance(node, ast.Call):
        return
    if _is_sql(node):
        yield from _of_sql(known, node)
    elif (call := _call(known, node)) and call.table not in known.made:
        yield from _of_call(known, call)


def _operation(known: _Upgrade, node: ast.Call) -> str:
    """Name the operation of Alembic's that a call is; nothing: it is none."""
    match node.func:
        case ast.Attribute(value=ast.Name(name), attr=attribute) if name in known.operations:
            return attribute
    return ""


def _call(known: _Upgrade, node: ast.Call) -> _Call | None:
    match node.func:
        case ast.Attribute(value=ast.Name(name), attr=attribute) if name in known.batches:
            return _Call(attribute, node, known.batches[name], tuple(node.args))
        case ast.Attribute(value=ast.Name(name), attr=attribute) if name in known.operations:
            # The constraint's or the index's own name comes first.
            own = attribute != "create_table" and attribute.startswith(("create_", "drop_index", "drop_constraint"))
            place, keyword = (
                (1, "source_table" if attribute == "create_foreign_key" else "table_name") if own else (0, "")
            )
            keyword = keyword or ("old_table_name" if attribute == "rename_table" else "table_name")
            table = next((one.value for one in node.keywords if one.arg == keyword), None)
            there = table is None and len(node.args) > place
            table = node.args[place] if there else table
            rest = (*node.args[:place], *node.args[place + 1 :]) if there else tuple(node.args)
            return _Call(attribute, node, _named(known, table), rest)
    return None


def _of_call(known: _Upgrade, call: _Call) -> Iterator[Risk]:
    """Judge one operation of Alembic's."""
    line, table, dialect = call.node.lineno, call.table, known.dialect
    match call.name:
        case "drop_table":
            yield _dropped_table(line, table)
        case "rename_table":
            yield _renamed(line, "rename-table", table)
        case "drop_column":
            yield _dropped_column(line, table, _named(known, call.get("column_name", 0)))
        case "add_column":
            yield from _of_column(known, call)
        case "alter_column":
            column = _named(known, call.get("column_name", 0))
            if call.is_set("new_column_name"):
                yield _renamed(line, "rename-column", f"{table}.{column}")
            if call.is_set("type_") and not _is_wider(call.get("existing_type"), call.get("type_"), dialect):
                yield from _retyped(line, f"{table}.{column}", dialect)
            nullable, default = call.get("nullable"), call.get("server_default")
            if isinstance(nullable, ast.Constant):
                made = _filled(line, f"{table}.{column}", dialect) if nullable.value is False else ()
                yield from made if not nullable.value else (_emptied(line, f"{table}.{column}"),)
            if isinstance(default, ast.Constant) and default.value is None:
                yield _undefaulted(line, f"{table}.{column}")
        case "create_index" | "drop_index" if call.is_set("postgresql_concurrently") and dialect == "postgres":
            yield from _concurrently(known, call.node)
        case "create_index":
            yield from _indexed(line, table, dialect)
        case "drop_index":
            yield _unindexed(line, _named(known, call.get("index_name", 0)), dialect)
        case "drop_constraint":
            yield _unconstrained(line, table, _named(known, call.get("constraint_name", 0)), dialect)
        case "create_foreign_key" if not call.is_set("postgresql_not_valid"):
            yield from _referenced(line, table, _named(known, call.get("referent_table", 1)), dialect)
        case "create_check_constraint" if not call.is_set("postgresql_not_valid"):
            yield from _checked(line, table, dialect)
        case "create_unique_constraint" | "create_primary_key" | "create_exclude_constraint":
            yield from _indexed_alone(line, table, dialect)


def _of_column(known: _Upgrade, call: _Call) -> Iterator[Risk]:
    """Judge a column that comes."""
    column = call.get("column", 0)
    if not isinstance(column, ast.Call):
        yield Risk(call.node.lineno, "unknown", say("adds a column to %s that is not written there", call.table))
        return
    told = _Call("", column, call.table, tuple(column.args))
    name = f"{call.table}.{_named(known, told.get('name', 0))}"
    line, nullable, default = call.node.lineno, told.get("nullable"), told.get("server_default")
    if told.is_set("unique"):
        yield from _indexed_alone(line, call.table, known.dialect)
    elif told.is_set("index"):
        yield from _indexed(line, call.table, known.dialect)
    made = {_attribute(one) for one in (*told.arguments, default) if isinstance(one, ast.Call)}
    if made & {"Identity", "Computed"}:
        if known.dialect == "postgres" and not _is_virtual(told):
            yield _rewritten(line, "volatile-default", name)
        return
    if default is None or (isinstance(default, ast.Constant) and default.value is None):
        if isinstance(nullable, ast.Constant) and nullable.value is False:
            yield _required(line, name, known.dialect)
    elif known.dialect == "postgres":
        yield from _defaulted(line, name, _default(known, default))


def _of_batch(known: _Upgrade, node: ast.With) -> Iterator[Risk]:
    """Judge a batch by what Alembic makes of it: SQLite changes nothing but little in its place."""
    for item in node.items:
        batch = item.context_expr
        if not (isinstance(batch, ast.Call) and _operation(known, batch) == "batch_alter_table"):
            continue
        name = item.optional_vars.id if isinstance(item.optional_vars, ast.Name) else ""
        own = {
            one.attr
            for one in ast.walk(node)
            if isinstance(one, ast.Attribute) and isinstance(one.value, ast.Name) and one.value.id == name
        }
        recreate = next((_text(known, one.value) for one in batch.keywords if one.arg == "recreate"), "auto")
        copies = recreate == "always" or (known.dialect == "sqlite" and recreate != "never" and bool(own - _IN_PLACE))
        table = _named(known, _first(batch, "table_name"))
        if copies and table not in known.made:
            yield Risk(batch.lineno, "copies-table", say("copies the table %s whole; writes wait meanwhile", table))


# ── What each rule says ───────────────────────────────────────────────────────────────────────────────────────────────


def _dropped_table(line: int, table: str) -> Risk:
    return Risk(line, "drop-table", say("drops %s with all its rows, while the old code still runs", table))


def _dropped_column(line: int, table: str, column: str) -> Risk:
    told = say("drops %s with its values, while the old code still runs", f"{table}.{column}")
    return Risk(line, "drop-column", told)


def _renamed(line: int, rule: str, name: str) -> Risk:
    return Risk(line, rule, say("renames %s, while the old code still runs and asks for the old name", name))


def _rewritten(line: int, rule: str, name: str) -> Risk:
    # "ALTER TABLE": an ACCESS EXCLUSIVE lock, which conflicts with SELECT too.
    return Risk(line, rule, say("adds %s: the table is written anew, reads and writes wait meanwhile", name))


def _retyped(line: int, name: str, dialect: str) -> Iterator[Risk]:
    match dialect:
        case "postgres":
            # "ALTER TABLE", notes: unless the old type is binary coercible to the new one.
            told = say(
                "changes the type of %s: unless both are stored alike, the table is written anew, "
                "reads and writes wait meanwhile",
                name,
            )
            yield Risk(line, "change-type", told)
        case "mysql":
            # "Online DDL": ALGORITHM=COPY alone, no concurrent writes; a longer VARCHAR may do without.
            told = say("changes the type of %s: in most cases the table is copied, writes wait meanwhile", name)
            yield Risk(line, "change-type", told)


def _filled(line: int, name: str, dialect: str) -> Iterator[Risk]:
    match dialect:
        case "postgres":
            # "ALTER TABLE", SET NOT NULL: a scan, unless a valid CHECK constraint proves it.
            told = say(
                "makes %s NOT NULL: unless a CHECK proves it, every row is looked at, reads and writes wait", name
            )
            yield Risk(line, "set-not-null", told)
        case "mysql":
            # "Online DDL": rebuilds in place, with concurrent writes.
            told = say("makes %s NOT NULL: the table is rebuilt, and it fails where a row has none", name)
            yield Risk(line, "set-not-null", told)


def _required(line: int, name: str, dialect: str) -> Risk:
    rule = "not-null-without-default"
    match dialect:
        case "postgres":
            told = say(
                "adds %s, NOT NULL without a default: it fails if there are rows, as do INSERTs of the old code", name
            )
        case "sqlite":
            # "ALTER TABLE": a NOT NULL column must have a default that is not NULL.
            told = say("adds %s, NOT NULL without a default: SQLite refuses that, but where the table is copied", name)
        case _:
            told = say("adds %s, NOT NULL without a default: INSERTs of the old code may fail", name)
    return Risk(line, rule, told)


def _defaulted(line: int, name: str, default: str) -> Iterator[Risk]:
    # "ALTER TABLE", notes: a constant or stable default costs nothing since PostgreSQL 11.
    if _VOLATILE.search(default):
        yield _rewritten(line, "volatile-default", name)
    elif _FUNCTION.search(default) and not _STABLE.search(default):
        told = say("adds %s: if its default is volatile, which cannot be told, the table is written anew", name)
        yield Risk(line, "volatile-default", told)


def _indexed(line: int, table: str, dialect: str) -> Iterator[Risk]:
    # "CREATE INDEX" takes a SHARE lock. MySQL's "Online DDL" permits writes.
    if dialect == "postgres":
        told = say("builds an index on %s without CONCURRENTLY: writes wait until it is built", table)
        yield Risk(line, "index-blocks-writes", told)


def _unindexed(line: int, name: str, dialect: str) -> Risk:
    if dialect == "postgres":
        # "DROP INDEX": ACCESS EXCLUSIVE on the table, which waits for every query and has later ones wait behind it.
        told = say(
            "drops the index %s without CONCURRENTLY: it waits for every query on its table, later ones too", name
        )
    else:
        told = say("drops the index %s: queries of the old code that use it are slow", name)
    return Risk(line, "drop-index", told)


def _unconstrained(line: int, table: str, name: str, dialect: str) -> Risk:
    if dialect == "postgres":
        # "ALTER TABLE": ACCESS EXCLUSIVE, of a foreign key on the other table too.
        told = say(
            "drops the constraint %s of %s: it waits for every query on that, later ones too, and no row is refused",
            name,
            table,
        )
    else:
        told = say("drops the constraint %s of %s: no row is refused", name, table)
    return Risk(line, "drop-constraint", told)


def _emptied(line: int, name: str) -> Risk:
    return Risk(line, "drop-not-null", say("lets %s be NULL, which the old code may not be made for", name))


def _undefaulted(line: int, name: str) -> Risk:
    return Risk(line, "drop-default", say("drops the default of %s: INSERTs of the old code may fail", name))


def _concurrently(known: _Upgrade, node: ast.AST) -> Iterator[Risk]:
    # "CREATE INDEX": CONCURRENTLY cannot be used inside a transaction block.
    if id(node) not in known.outside:
        told = say("uses CONCURRENTLY outside of autocommit_block(): it fails where Alembic has a transaction")
        yield Risk(getattr(node, "lineno", 1), "concurrently-in-transaction", told)


def _indexed_alone(line: int, table: str, dialect: str) -> Iterator[Risk]:
    # "ALTER TABLE": ACCESS EXCLUSIVE, while the constraint's index is built.
    if dialect == "postgres":
        told = say("builds the index of a constraint on %s: reads and writes wait until it is built", table)
        yield Risk(line, "validates-constraint", told)


def _referenced(line: int, table: str, other: str, dialect: str) -> Iterator[Risk]:
    match dialect:
        case "postgres":
            # "ALTER TABLE": SHARE ROW EXCLUSIVE on both; NOT VALID leaves out the scan.
            told = say("checks every row of %s for a foreign key: writes to it and to %s wait meanwhile", table, other)
            yield Risk(line, "validates-constraint", told)
        case "mysql":
            # "Online DDL": in place with foreign_key_checks off alone, else by COPY.
            told = say("adds a foreign key: unless foreign_key_checks is off, %s is copied, and writes wait", table)
            yield Risk(line, "validates-constraint", told)


def _checked(line: int, table: str, dialect: str) -> Iterator[Risk]:
    match dialect:
        case "postgres":
            # "ALTER TABLE": ACCESS EXCLUSIVE for a CHECK; NOT VALID leaves out the scan.
            told = say("checks every row of %s for a constraint: reads and writes wait meanwhile", table)
            yield Risk(line, "validates-constraint", told)
        case "mysql":
            # Not among the "Online DDL Operations".
            told = say("adds a CHECK to %s: whether the table is copied cannot be told", table)
            yield Risk(line, "validates-constraint", told)


# ── SQL ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _is_autocommit(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Attribute) and node.func.attr == "autocommit_block"


def _is_sql(node: ast.Call) -> bool:
    return isinstance(node.func, ast.Attribute) and node.func.attr in ("execute", "exec_driver_sql")


def _sql(known: _Upgrade, node: ast.Call) -> str | None:
    """Give the SQL of a call, in one line, without comments and quoted texts; None: it is not written there."""
    text = _text(known, _first(node, "sqltext"))
    return None if text is None else _bare(text)


def _bare(sql: str) -> str:
    return " ".join(_ASIDE.sub(lambda found: "''" if found[0].startswith("'") else " ", sql).split())


def _of_sql(known: _Upgrade, node: ast.Call) -> Iterator[Risk]:
    text = _sql(known, node)
    unknown = Risk(node.lineno, "unknown", say("what this SQL does cannot be told: it is not written there as a whole"))
    if text is None or text == _UNKNOWN:
        yield unknown
        return
    found = [risk for statement in text.split(";") for risk in _of_statement(known, node.lineno, statement.strip())]
    yield from found
    if known.dialect == "postgres" and re.search(
        r"\b(INDEX|REINDEX\b.*|DETACH PARTITION \S+) CONCURRENTLY\b", text, re.I
    ):
        yield from _concurrently(known, node)
    if _UNKNOWN in text and not found:
        yield unknown


def _of_statement(known: _Upgrade, line: int, sql: str) -> Iterator[Risk]:
    """Judge one statement of SQL."""

    def heads(pattern: str) -> "re.Match[str] | None":
        return re.match(pattern, sql, re.I)

    dialect = known.dialect
    if found := heads(rf"ALTER TABLE {_NAME} (.*)"):
        table = _plain(found[1])
        if table not in known.made:
            yield from _of_alter(line, table, found[2], dialect)
    elif found := heads(rf"DROP TABLE {_NAME}"):
        yield _dropped_table(line, _plain(found[1]))
        yield from _cascaded(line, sql)
    elif found := heads(r"DROP INDEX (CONCURRENTLY )?" + _NAME):
        if not found[1]:
            yield _unindexed(line, _plain(found[2]), dialect)
    elif found := heads(rf"DROP ({_DROPPED})\b"):
        yield Risk(line, "drop", say("drops a %s, while the old code still runs", found[1].lower()))
        yield from _cascaded(line, sql)
    elif heads(r"REVOKE\b"):
        yield Risk(line, "revoke", say("takes rights away, while the old code still runs: %s", sql[:60]))
    elif found := heads(rf"TRUNCATE (?:TABLE )?{_NAME}"):
        yield Risk(line, "truncate", say("empties %s; reads and writes wait meanwhile", _plain(found[1])))
        yield from _cascaded(line, sql)
    elif found := heads(rf"CREATE (?:UNIQUE )?INDEX (?!CONCURRENTLY).*?\bON {_NAME}"):
        if _plain(found[1]) not in known.made:
            yield from _indexed(line, _plain(found[1]), dialect)
    elif found := heads(rf"(?:WITH .*?\) )?UPDATE {_NAME} SET") or heads(rf"(?:WITH .*?\) )?DELETE FROM {_NAME}"):
        if _plain(found[1]) not in known.made:
            yield _rows(line, _plain(found[1]), every=not re.search(r"\bWHERE\b", sql, re.I))
    elif heads(r"LOCK\b"):
        yield Risk(line, "lock", say("takes a lock by itself: %s", sql[:60]))
    elif heads(_REWRITES):
        yield Risk(line, "rewrites", say("writes anew what others use: %s", sql[:60]))
    elif heads(r"(DO|CALL|EXECUTE)\b|SELECT .*\b(?:EXECUTE|PERFORM)\b"):
        yield Risk(line, "unknown", say("what this SQL does cannot be told: it is a program of its own"))
    elif heads(r"(ALTER|RENAME)\b"):
        yield Risk(line, "alter", say("alters what others use, by what lock cannot be told: %s", sql[:60]))


def _cascaded(line: int, sql: str) -> Iterator[Risk]:
    if re.search(r"\bCASCADE\b", sql, re.I):
        yield Risk(line, "cascade", say("CASCADE: whatever depends on it goes too, which is not written there"))


def _of_alter(line: int, table: str, actions: str, dialect: str) -> Iterator[Risk]:
    """Judge what an ALTER TABLE does, action by action."""
    for action in re.split(r",(?![^(]*\))", actions):
        yield from _of_action(line, table, action.strip(), dialect)


def _of_action(line: int, table: str, action: str, dialect: str) -> Iterator[Risk]:
    def heads(pattern: str) -> "re.Match[str] | None":
        return re.match(pattern, action, re.I)

    not_valid = re.search(r"\bNOT VALID\b", action, re.I)
    if found := heads(rf"DROP (?:INDEX|KEY) {_NAME}"):
        yield _unindexed(line, _plain(found[1]), dialect)
    elif found := heads(rf"DROP (?:CONSTRAINT|FOREIGN KEY|CHECK|PRIMARY KEY) ?(?:{_NAME})?"):
        yield _unconstrained(line, table, _plain(found[1] or "PRIMARY KEY"), dialect)
        yield from _cascaded(line, action)
    elif found := heads(rf"DROP (?:COLUMN )?{_NAME}"):
        yield _dropped_column(line, table, _plain(found[1]))
        yield from _cascaded(line, action)
    elif found := heads(rf"ALTER (?:COLUMN )?{_NAME} (?:SET DATA )?TYPE\b") or heads(
        rf"(?:MODIFY|CHANGE) (?:COLUMN )?{_NAME}"
    ):
        yield from _retyped(line, f"{table}.{_plain(found[1])}", dialect)
    elif found := heads(rf"ALTER (?:COLUMN )?{_NAME} SET NOT NULL"):
        yield from _filled(line, f"{table}.{_plain(found[1])}", dialect)
    elif found := heads(rf"ALTER (?:COLUMN )?{_NAME} DROP (NOT NULL|DEFAULT)\b"):
        judge = _emptied if found[2].upper() == "NOT NULL" else _undefaulted
        yield judge(line, f"{table}.{_plain(found[1])}")
    elif found := heads(r"RENAME (?:TO|AS)\b"):
        yield _renamed(line, "rename-table", table)
    elif heads(r"RENAME (CONSTRAINT|INDEX|KEY)\b|ALTER (?:COLUMN )?\S+ (SET|DROP) |VALIDATE "):
        return
    elif found := heads(rf"RENAME (?:COLUMN )?{_NAME}"):
        yield _renamed(line, "rename-column", f"{table}.{_plain(found[1])}")
    elif heads(r"ADD (CONSTRAINT \S+ )?FOREIGN KEY\b"):
        other = re.search(rf"REFERENCES {_NAME}", action, re.I)
        if not not_valid:
            yield from _referenced(line, table, _plain(other[1]) if other else _UNKNOWN, dialect)
    elif heads(r"ADD (CONSTRAINT \S+ )?CHECK\b"):
        if not not_valid:
            yield from _checked(line, table, dialect)
    elif heads(r"ADD (CONSTRAINT \S+ )?(UNIQUE|PRIMARY KEY|EXCLUDE)\b"):
        if not re.search(r"\bUSING INDEX\b", action, re.I):
            yield from _indexed_alone(line, table, dialect)
    elif heads(r"ADD (INDEX|KEY|FULLTEXT|SPATIAL)\b"):
        return
    elif found := heads(rf"ADD (?:COLUMN )?{_NAME}"):
        name = f"{table}.{_plain(found[1])}"
        default = re.search(r"\bDEFAULT (.*)", action, re.I)
        if re.search(r"\bNOT NULL\b", action, re.I) and not default and " GENERATED " not in action.upper():
            yield _required(line, name, dialect)
        elif default and dialect == "postgres":
            yield from _defaulted(line, name, default[1])
        if re.search(r"\bUNIQUE\b", action, re.I):
            yield from _indexed_alone(line, table, dialect)
        if dialect == "postgres" and re.search(_NUMBERED, action, re.I):
            yield _rewritten(line, "volatile-default", name)
    else:
        yield Risk(line, "alter", say("alters %s, by what lock cannot be told: %s", table, action[:60]))


def _rows(line: int, table: str, *, every: bool) -> Risk:
    if every:
        told = say("changes every row of %s: whoever writes to one waits until the migration ends", table)
    else:
        told = say("changes rows of %s, how many cannot be told: whoever writes to one waits", table)
    return Risk(line, "changes-rows", told)


# ── What the source has ───────────────────────────────────────────────────────────────────────────────────────────────


def _first(call: ast.Call, keyword: str) -> ast.expr | None:
    return call.args[0] if call.args else next((one.value for one in call.keywords if one.arg == keyword), None)


def _attribute(node: ast.Call) -> str:
    return node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")


def _named(known: _Upgrade, node: ast.expr | None) -> str:
    return (_text(known, node) or "?").replace(_UNKNOWN, "?")


def _plain(name: str) -> str:
    """Name a table or column as Alembic is told it: without quotes and its schema."""
    return name.replace('"', "").replace("`", "").rsplit(".", 1)[-1].replace(_UNKNOWN, "?")


def _text(known: _Upgrade, node: ast.expr | None) -> str | None:
    """Give a text as far as it is written there; None: it is none, or nothing of it is."""
    match node:
        case ast.Constant(str(text)):
            return text
        case ast.Name(name):
            return known.texts.get(name)
        case ast.JoinedStr(parts):
            return "".join(_text(known, part) or _UNKNOWN for part in parts)
        case ast.FormattedValue(value=value):
            return _text(known, value)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            sides = _text(known, left), _text(known, right)
            return None if sides == (None, None) else "".join(side or _UNKNOWN for side in sides)
        case ast.Call(args=[text, *_]) if _attribute(node) in ("text", "dedent", "f", "DDL"):
            return _text(known, text)
    return None


def _default(known: _Upgrade, node: ast.expr) -> str:
    """Give the SQL of a default as far as it is written there; what is a constant has none."""
    match node:
        case ast.Call(func=ast.Attribute(value=ast.Attribute(attr="func") | ast.Name("func"), attr=name)):
            return f"{name}()"
        case ast.Call() if _attribute(node) in ("text", "DDL"):
            return _bare(_text(known, node) or "")
    return ""


def _is_virtual(column: _Call) -> bool:
    """Is a generated column not stored?"""
    for one in column.arguments:
        if isinstance(one, ast.Call) and _attribute(one) == "Computed":
            stored = next((word.value for word in one.keywords if word.arg == "persisted"), None)
            return isinstance(stored, ast.Constant) and stored.value is False
    return False


def _is_wider(old: ast.expr | None, new: ast.expr | None, dialect: str) -> bool:
    """Is it the same type, or a text that may be longer now, which PostgreSQL stores alike?"""
    if old is None or new is None:
        return False
    if ast.dump(old) == ast.dump(new):
        return True
    lengths = _length(old), _length(new)
    return dialect == "postgres" and None not in lengths and 0 < (lengths[0] or 0) <= (lengths[1] or 0)


_UNLIMITED = 10**9
_TEXTS: Mapping[str, bool] = {"String": True, "VARCHAR": True, "Unicode": True, "Text": False, "TEXT": False}


def _length(node: ast.expr) -> int | None:
    """Say how long a text may be; None: it is no text, or that is not written there."""
    name = _attribute(node) if isinstance(node, ast.Call) else getattr(node, "attr", getattr(node, "id", ""))
    if name not in _TEXTS:
        return None
    if not (_TEXTS[name] and isinstance(node, ast.Call)) or not (node.args or node.keywords):
        return _UNLIMITED
    length = _first(node, "length")
    return length.value if isinstance(length, ast.Constant) and isinstance(length.value, int) else None
