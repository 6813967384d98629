"""Publish a release of a chosen kind to a sandbox's origin."""

import re
from collections.abc import Callable
from pathlib import Path

from deploy.errors import Exit, Failure
from deploy.message import say
from deploy.sandbox import origin
from deploy.sandbox.git import commit, git
from deploy.sandbox.home import Sandbox

# What the bad releases bring; every later release takes it out again.
FAULTS = (
    f"{origin.FEATURES}/broken_import.py",
    f"{origin.FEATURES}/unhealthy.py",
    f"{origin.FEATURES}/slow_boot.py",
    f"{origin.VERSIONS}/failing_migration.py",
    f"{origin.VERSIONS}/second_head.py",
    f"{origin.FEATURES}/self_migrating.py",
    f"{origin.VERSIONS}/half_migration.py",
)
BROKEN_IMPORT, UNHEALTHY, SLOW_BOOT, FAILING_MIGRATION, SECOND_HEAD, SELF_MIGRATING, HALF_MIGRATION = FAULTS
# Where a release may tell Alembic to keep the revision elsewhere.
ENV = "migrations/env.py"
SITE = "nginx/sites-available/whalefall-prod"
SUPERVISOR = "nginx/supervisor/whalefall-prod.conf"
# What Nginx takes for a mistake.
BROKEN_SITE = "    no_such_directive on;\n"
# What Celery's programs import and Gunicorn does not, and what nobody can.
CELERY = "make_celery.py"
BROKEN_CELERY = "import a_module_that_nobody_installed\n"
FRONTEND = "frontend/src/app.js"
GUNICORN = "nginx/gunicorn/gunicorn-prod.conf.py"
# What a kind changes that not every shape of the app has.
NEEDED = {
    "broken-worker": CELERY,
    "frontend": FRONTEND,
    "gunicorn": GUNICORN,
    "nginx": SITE,
    "nginx-broken": SITE,
    "supervisor": SUPERVISOR,
    "supervisor-program": SUPERVISOR,
}
# Another repository in it.
SUBMODULE = "app/vendor"
FILES_ALLOWED = ("-c", "protocol.file.allow=always")
# Far above the dates that the first revisions are numbered with.
FIRST_REVISION = 20260200000000
# Clears the screen, sets its title, goes back to the line's begin, and turns the direction of what follows.
ESCAPES = "\x1b[2J\x1b]0;owned\x07\r\u202e"


def publish(sandbox: Sandbox, kind: str) -> str:
    """Make a release of this kind, push it to origin, and return its commit."""
    change = _CHANGES.get(kind)
    if change is None:
        raise Failure(
            say("there is no kind of release %s", repr(kind)), remedy=say("one of: %s", KINDS), code=Exit.USAGE
        )
    tree = sandbox.developer
    git(tree, "fetch", "--quiet", "origin")
    git(tree, "checkout", "--quiet", "--force", "-B", "main", "origin/main")
    git(tree, "clean", "--quiet", "--force", "-dx")
    missing = {one: file for one, file in NEEDED.items() if not (tree / file).exists()}
    if kind in missing:
        shape = sandbox.shape.name
        fact = say("no release of the kind %s: the app of the shape %s has no %s", kind, shape, missing[kind])
        fitting = tuple(one for one in KINDS if one not in missing)
        raise Failure(fact, remedy=say("one of: %s", fitting), code=Exit.USAGE)
    number = int(git(tree, "rev-list", "--count", "HEAD")) + 1
    for fault in FAULTS:
        (tree / fault).unlink(missing_ok=True)
    _substitute(tree, ENV, 'version_table_schema="ops", ', "", count=0)
    for file, line in ((SITE, BROKEN_SITE), (CELERY, BROKEN_CELERY)):
        if (tree / file).exists():
            _substitute(tree, file, line, "")
    if kind != "submodule":
        _drop_submodule(tree)
    if kind != "static":
        origin.stamp(tree, number)
    change(tree, number)
    made = commit(tree, f"Release {number}: {ESCAPES if kind == 'escape-sequences' else ''}{kind}")
    git(tree, "push", "--quiet", "origin", "main")
    return made


def _code(tree: Path, number: int) -> None:
    text = f'"""What the page says is new."""\n\nTEXT = "news of release {number}"\n'
    _write(tree, f"{origin.FEATURES}/news.py", text)


def _migration(tree: Path, number: int) -> None:
    column = f"note_{number}"
    _write_revision(
        tree,
        f"{FIRST_REVISION + number}_{column}.py",
        number,
        _head(tree),
        f"ALTER TABLE instances ADD COLUMN IF NOT EXISTS {column} text",
        f"ALTER TABLE instances DROP COLUMN {column}",
    )


def _deleted_file(tree: Path, _number: int) -> None:
    _oldest(tree, "app/legacy/report_*.py").unlink()
    _oldest(tree, "docs/archive/page-*.md").unlink()


def _renamed_file(tree: Path, _number: int) -> None:
    module = _oldest(tree, "app/legacy/report_*.py")
    module.rename(module.with_name(f"moved_{module.name}"))
    page = _oldest(tree, "docs/archive/page-*.md")
    page.rename(page.with_name(f"moved-{page.name}"))


def _static(tree: Path, number: int) -> None:
    _write(tree, "app/static/release.txt", f"release {number}\n")
    _write(tree, "app/static/style.css", f"body {{ --release: {number}; }}\n")


def _escape_sequences(tree: Path, number: int) -> None:
    _write(tree, f"app/static/{ESCAPES}.txt", f"release {number}\n")


def _broken_import(tree: Path, _number: int) -> None:
    _write(tree, BROKEN_IMPORT, "import a_module_that_nobody_installed\n")


def _broken_worker(tree: Path, _number: int) -> None:
    _append(tree, CELERY, BROKEN_CELERY)


def _failing_migration(tree: Path, number: int) -> None:
    name = Path(FAILING_MIGRATION).name
    _write_revision(tree, name, number, _head(tree), "SELECT no_such_column FROM credentials", "SELECT 1")


def _half_migration(tree: Path, number: int) -> None:
    """Fail after a part that is there for good."""
    _write(
        tree,
        HALF_MIGRATION,
        f'"""Release {number}."""\n\n'
        "from alembic import op\n\n"
        f'revision = "{FIRST_REVISION + number}"\n'
        f'down_revision = "{_head(tree)}"\n\n\n'
        "def upgrade():\n"
        "    with op.get_context().autocommit_block():\n"
        '        op.execute("CREATE TABLE half_done (id integer PRIMARY KEY)")\n'
        '    op.execute("SELECT no_such_column FROM credentials")\n\n\n'
        "def downgrade():\n"
        '    op.execute("DROP TABLE half_done")\n',
    )


def _self_migrating(tree: Path, _number: int) -> None:
    """Change the schema whenever the app is made."""
    _write(
        tree,
        SELF_MIGRATING,
        "from sqlalchemy import text\n\n"
        "from app.models import db\n\n\n"
        "def register(application):\n"
        "    with application.app_context():\n"
        '        db.session.execute(text("ALTER TABLE instances ADD COLUMN IF NOT EXISTS made_at_boot text"))\n'
        "        db.session.commit()\n",
    )


def _two_heads(tree: Path, number: int) -> None:
    head = _head(tree)
    _write_revision(tree, Path(SECOND_HEAD).name, number, _revisions(tree)[head] or head, "SELECT 1", "SELECT 1")


def _unhealthy(tree: Path, _number: int) -> None:
    _write(
        tree,
        UNHEALTHY,
        "def ask_the_oracle():\n"
        '    raise RuntimeError("the oracle is silent")\n\n\n'
        "def register(application):\n"
        '    application.extensions.setdefault("probes", {})["oracle"] = ask_the_oracle\n',
    )


def _unhealthy_here(tree: Path, _number: int) -> None:
    """Be ill only where the app's userdata has a file `silence`: on one host of several."""
    _write(
        tree,
        UNHEALTHY,
        "from pathlib import Path\n\n\n"
        "def ask_the_oracle():\n"
        '    if Path("userdata/silence").exists():\n'
        '        raise RuntimeError("the oracle is silent here")\n\n\n'
        "def register(application):\n"
        '    application.extensions.setdefault("probes", {})["oracle"] = ask_the_oracle\n',
    )


def _slow_boot(tree: Path, _number: int) -> None:
    _write(tree, SLOW_BOOT, "import time\n\n\ndef start():\n    time.sleep(8)\n")


def _dependency(tree: Path, number: int) -> None:
    package = f"whalefall-plugin-{number}"
    _append(tree, "requirements.txt", f"{package}>=1.0\n")
    if (tree / "uv.lock").exists():
        _append(tree, "uv.lock", f'\n[[package]]\nname = "{package}"\nversion = "1.0"\n')
        _substitute(tree, "pyproject.toml", r"dependencies = \[\n", rf'\g<0>    "{package}>=1.0",\n')


def _compose(tree: Path, number: int) -> None:
    (file,) = tree.glob("docker-compose*.yml")
    _substitute(tree, file.name, r"x-release: \d+", f"x-release: {number}")


def _supervisor(tree: Path, number: int) -> None:
    _substitute(tree, SUPERVISOR, r"stopwaitsecs=\d+", f"stopwaitsecs={10 + number}")


def _supervisor_program(tree: Path, number: int) -> None:
    # As root it must leave no bytecode in /app that the app's user could not replace.
    command = "/app/.venv/bin/python -B -m app.disk_watch"
    program = f"[program:whalefall_disk_watch_{number}]\ncommand={command}\ndirectory=/app\nautorestart=true\n"
    _append(tree, SUPERVISOR, f"\n{program}")


def _frontend(tree: Path, number: int) -> None:
    _write(tree, FRONTEND, f'const news = "news of release {number}";\n')


def _nginx(tree: Path, number: int) -> None:
    """Have every answer that the app gives name the release of the site."""
    _substitute(tree, SITE, r"    add_header X-Site .*\n", "")
    _add_to_site(tree, f"    add_header X-Site {number};\n")


def _nginx_broken(tree: Path, _number: int) -> None:
    _add_to_site(tree, BROKEN_SITE)


def _add_to_site(tree: Path, line: str) -> None:
    _substitute(tree, SITE, r"    server_name .*\n", rf"\g<0>{line}")


def _gunicorn(tree: Path, number: int) -> None:
    _substitute(tree, GUNICORN, r"keepalive = \d+", f"keepalive = {5 + number}")


def _version_table(tree: Path, number: int) -> None:
    _migration(tree, number)
    for call in ("url=url(), ", "connection=connection, "):
        _substitute(tree, ENV, re.escape(f"configure({call}"), f'configure({call}version_table_schema="ops", ')


def _submodule(tree: Path, number: int) -> None:
    """Take in another repository, or what is new in it."""
    library = tree.with_name("library")
    if not library.exists():
        git(tree.parent, "init", "--quiet", "--initial-branch=main", library)
    _write(library, "words.py", f"WORDS = 'of release {number}'\n")
    commit(library, f"Words of release {number}")
    if not (tree / SUBMODULE / ".git").exists():
        git(tree, *FILES_ALLOWED, "submodule", "--quiet", "add", "--force", library, SUBMODULE)
    git(tree, *FILES_ALLOWED, "submodule", "--quiet", "update", "--init", "--remote", SUBMODULE)


def _drop_submodule(tree: Path) -> None:
    if (tree / ".gitmodules").exists():
        git(tree, "rm", "--quiet", "--force", SUBMODULE, ".gitmodules")


_CHANGES: dict[str, Callable[[Path, int], None]] = {
    "code": _code,
    "migration": _migration,
    "deleted-file": _deleted_file,
    "renamed-file": _renamed_file,
    "static": _static,
    "escape-sequences": _escape_sequences,
    "broken-import": _broken_import,
    "broken-worker": _broken_worker,
    "failing-migration": _failing_migration,
    "half-migration": _half_migration,
    "self-migrating": _self_migrating,
    "two-heads": _two_heads,
    "version-table": _version_table,
    "unhealthy": _unhealthy,
    "unhealthy-here": _unhealthy_here,
    "slow-boot": _slow_boot,
    "dependency": _dependency,
    "compose": _compose,
    "supervisor": _supervisor,
    "supervisor-program": _supervisor_program,
    "nginx": _nginx,
    "nginx-broken": _nginx_broken,
    "frontend": _frontend,
    "gunicorn": _gunicorn,
    "submodule": _submodule,
}
KINDS = tuple(_CHANGES)


def _write_revision(tree: Path, name: str, number: int, parent: str, upgrade: str, downgrade: str) -> None:
    text = (
        f'"""Release {number}."""\n\n'
        "from alembic import op\n\n"
        f'revision = "{FIRST_REVISION + number}"\n'
        f'down_revision = "{parent}"\n\n\n'
        f'def upgrade():\n    op.execute("{upgrade}")\n\n\n'
        f'def downgrade():\n    op.execute("{downgrade}")\n'
    )
    _write(tree, f"{origin.VERSIONS}/{name}", text)


def _revisions(tree: Path) -> dict[str, str | None]:
    """Return the parent of every revision in the tree, by revision."""
    found: dict[str, str | None] = {}
    for path in (tree / origin.VERSIONS).glob("*.py"):
        text = path.read_text(encoding="utf-8")
        names = dict(re.findall(r'^(revision|down_revision) = "?(\w+)"?$', text, re.MULTILINE))
        found[names["revision"]] = None if names["down_revision"] == "None" else names["down_revision"]
    return found


def _head(tree: Path) -> str:
    revisions = _revisions(tree)
    return max(revisions.keys() - set(revisions.values()))


def _oldest(tree: Path, pattern: str) -> Path:
    found = sorted(tree.glob(pattern))
    if not found:
        raise Failure(
            say("no file %s is left to release", pattern), remedy=say("inv sandbox.down, then inv sandbox.up")
        )
    return found[0]


def _write(tree: Path, name: str, text: str) -> None:
    (tree / name).write_text(text, encoding="utf-8")


def _append(tree: Path, name: str, text: str) -> None:
    _write(tree, name, (tree / name).read_text(encoding="utf-8") + text)


def _substitute(tree: Path, name: str, pattern: str, replacement: str, count: int = 1) -> None:
    _write(tree, name, re.sub(pattern, replacement, (tree / name).read_text(encoding="utf-8"), count=count))
