"""A sandbox's database: each kind of it in its own words, and how it is asked."""

from dataclasses import dataclass

from deploy.sandbox.compose import execute
from deploy.sandbox.home import Sandbox


@dataclass(frozen=True)
class Kind:
    """A kind of database. `client` and `admin` are run by sh in its container, which knows the passwords.

    They carry out what is on stdin in the database "$2", as its owner "$1" or as who may do anything. SQL may name
    {owner} and {name}.
    """

    client: str
    admin: str
    # What .env has of it, each with a value of its own.
    passwords: tuple[str, ...]
    seed: str
    # Have the database refuse every connection while its server is up, and allow them again.
    close: str
    open: str
    # How many sessions of a forgotten console are there?
    consoles: str


_PSQL = "psql --no-psqlrc --quiet --tuples-only --no-align --set=ON_ERROR_STOP=1"
_MARIADB = "exec mariadb --batch --skip-column-names --unbuffered --default-character-set=utf8mb4"
# As the client of what somebody has forgotten names itself, where it can.
CONSOLE = "forgotten console"

KINDS = {
    "postgres": Kind(
        client=f'exec {_PSQL} --username="$1" --dbname="$2"',
        admin=f'exec {_PSQL} --username="$1" --dbname=postgres',
        passwords=("POSTGRES_PASSWORD",),
        seed="""
INSERT INTO users (username) SELECT 'user ' || n FROM generate_series(1, 50) n;
INSERT INTO instances (name) SELECT '实例 ' || n FROM generate_series(1, 200) n;
INSERT INTO credentials (name) SELECT 'credential ' || n FROM generate_series(1, 100) n;
INSERT INTO database_size_aggregations (instance_id, size_mb, calculated_at)
  SELECT 1 + n % 200, n, timestamptz '2025-12-01' + n * interval '1 hour' FROM generate_series(1, 5000) n;
""",
        close="ALTER DATABASE {name} ALLOW_CONNECTIONS false;"
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = '{name}'",
        open="ALTER DATABASE {name} ALLOW_CONNECTIONS true",
        consoles="SELECT count(*) FROM pg_stat_activity"
        f" WHERE state = 'idle in transaction' AND application_name = '{CONSOLE}'",
    ),
    "mysql": Kind(
        client=f'MYSQL_PWD=$MARIADB_PASSWORD {_MARIADB} --user="$1" "$2"',
        admin=f'MYSQL_PWD=$MARIADB_ROOT_PASSWORD {_MARIADB} --user=root "$2"',
        passwords=("MARIADB_PASSWORD", "MARIADB_ROOT_PASSWORD"),
        seed="""
INSERT INTO users (username) SELECT concat('user ', seq) FROM seq_1_to_50;
INSERT INTO instances (name) SELECT concat('实例 ', seq) FROM seq_1_to_200;
INSERT INTO credentials (name) SELECT concat('credential ', seq) FROM seq_1_to_100;
INSERT INTO database_size_aggregations (instance_id, size_mb, calculated_at)
  SELECT 1 + seq % 200, seq, timestamp '2025-12-01 00:00:00' + interval seq hour FROM seq_1_to_5000;
""",
        close="ALTER USER {owner} ACCOUNT LOCK; KILL USER {owner};",
        open="ALTER USER {owner} ACCOUNT UNLOCK",
        # Of the app's own sessions none is idle in a transaction for so long.
        consoles="SELECT count(*) FROM information_schema.innodb_trx JOIN information_schema.processlist"
        " ON id = trx_mysql_thread_id WHERE command = 'Sleep' AND trx_started < now() - interval 1 second",
    ),
}


def kind_of(sandbox: Sandbox) -> Kind:
    """Return the kind of the sandbox's database."""
    return KINDS[sandbox.shape.kind]


def sql(sandbox: Sandbox, statements: str) -> str:
    """Run SQL as the database's owner; rows come unaligned, one a line."""
    return _run(sandbox, kind_of(sandbox).client, statements)


def administer(sandbox: Sandbox, statements: str) -> str:
    """Run SQL as who may do anything, whether or not the database takes connections."""
    return _run(sandbox, kind_of(sandbox).admin, statements)


def _run(sandbox: Sandbox, client: str, statements: str) -> str:
    shape = sandbox.shape
    told = statements.replace("{owner}", shape.owner).replace("{name}", shape.dbname)
    return execute(sandbox.database, "sh", "-c", client, "sh", shape.owner, shape.dbname, stdin=told).strip()
