"""The script that reads the state in one round trip, and the settings as every script on the host knows them."""

import json
from collections.abc import Iterable
from typing import Any

from deploy import elsewhere, inside, shell
from deploy.settings import Check, Settings, of_service
from deploy.settings.model import Built
from deploy.shell import Variable
from deploy.state.model import TargetIs
from deploy.state.records import RECORDS

# What the reading script is made of, beside the database's script.
SOURCES = ("redact.sh", "containers.sh", "worktree.sh", "trees.sh", "built.sh", "matching.sh", "guard.sh", "read.sh")


def read_script(
    settings: Settings,
    *,
    target: TargetIs,
    logs: bool = True,
    preview: bool = False,
    offered: str = "",
    bundle_sum: str = "",
    run: str = "",
) -> str:
    """Build the script that reads the state, with a `preview` also what a dry run tells of the release.

    What the laptop has `offered` may come as a bundle on its stdin. With a `run` it waits until that is to be
    confirmed.
    """
    asked: dict[str, Variable] = {"target_is": target, "want_logs": logs, "record_fields": RECORDS, "of_run": run}
    asked |= {"want_preview": preview}
    asked |= {"offered": offered, "bundle_sum": bundle_sum}
    return shell.script(asking(settings), *SOURCES, **inside.variables(), **variables(settings), **asked)


def asking(settings: Settings) -> str:
    """Name the script that has the questions to a database of this kind; containers.sh goes with it."""
    return f"scripts/database/{settings.database.kind}.sh"


def dumping(settings: Settings) -> str:
    """Name the script that dumps and restores a database of this kind; backups.sh goes with it."""
    return f"scripts/dumps/{settings.database.kind}.sh"


def variables(settings: Settings) -> dict[str, Variable]:
    """Name the settings as the scripts on the host know them."""
    app, database, redis = settings.app, settings.database, settings.redis
    return {
        "path": settings.target.path,
        "remote": settings.git.remote,
        "branch": settings.git.branch,
        "fetch_timeout": settings.git.fetch_timeout,
        "via": settings.git.via,
        "proxy": settings.git.proxy,
        "compose_file": settings.compose.file,
        "env_file": f"{settings.target.path}/{settings.env.file}" if settings.env else "",
        "required": tuple(settings.env.required) if settings.env else (),
        "secret_words": tuple(settings.secrets.words),
        "secret_keys": tuple(settings.secrets.keys),
        "secret_min_length": settings.secrets.min_length,
        "container": app.container,
        "service": app.service,
        "app_path": app.path,
        "app_user": app.user,
        "python": app.python,
        "flask": app.flask,
        "record_folder": app.record,
        "logs": tuple(app.logs),
        "database_kind": database.kind,
        "database_service": database.service if database.in_service else "",
        "database_container": database.container if database.in_service else "",
        "database": database.name,
        "database_user": database.user,
        "redis_service": redis.service if redis else "",
        "redis_container": redis.container if redis else "",
        "needs": tuple(settings.compose.needs),
        "migrations": settings.migrate.directory,
        "stamp_columns": tuple(sorted(stamp_columns(settings))),
        "backup_dir": settings.backup.dir,
        "backup_client": settings.backup.client,
        "protected": tuple(settings.copy.protected),
        "copied": (".", *(f":(exclude,glob){pattern}" for pattern in settings.copy.exclude)),
        "unsuitable": image_pathspecs(settings),
        "built": tuple(word for name, one in settings.built.items() for word in _built(name, one)),
        "probes": probes(settings.health.checks),
        "probe_timeout": settings.health.request_timeout,
        "inside_settings": json.dumps(inside_settings(settings)),
        "also": tuple(word for name in settings.also for word in _also(settings, name)),
    }


def probes(checks: Iterable[Check]) -> tuple[str, ...]:
    """Say of every alternative of the checks: its name, its URL, its Host, and whether it is asked inside."""
    return tuple(
        word
        for check in checks
        for path in check.paths
        for word in (check.name, check.url + path, check.host, "1" if check.inside else "")
    )


def _also(settings: Settings, name: str) -> tuple[str, str, str, str]:
    """Say of a service that runs the code too: its name in the settings, Compose's, its container, what it is told."""
    own = of_service(settings, name)
    return name, own.app.service, own.app.container, json.dumps(inside_settings(own))


def _built(name: str, one: Built) -> tuple[str, str, str, str]:
    """Say of a built folder: its name, its path, whether the clone on the host has it, and what it is made from."""
    return name, one.path, "" if one.command or one.where == "laptop" else "clone", "\n".join(one.pathspecs)


def stamp_columns(settings: Settings) -> set[str]:
    return {column for rule in settings.migrate.stamp for column in rule.columns}


def image_pathspecs(settings: Settings) -> tuple[str, ...]:
    """Turn the patterns of preflight.unsuitable into git's pathspecs; `!` makes an exception."""
    patterns = settings.preflight.unsuitable
    wanted = [f":(glob){pattern}" for pattern in patterns if not pattern.startswith("!")]
    exceptions = [f":(exclude,glob){pattern[1:]}" for pattern in patterns if pattern.startswith("!")]
    return (*wanted, *exceptions) if wanted else (":(exclude,glob)**",)


def inside_settings(settings: Settings) -> dict[str, Any]:
    """What the program inside the container is told of the settings."""
    database = settings.database
    return {
        "app": settings.app.path,
        "record": settings.app.record,
        "user": settings.app.user,
        "server": settings.app.server,
        "env": settings.env.file if settings.env else "",
        "flask": settings.app.flask,
        # Where the clone is mounted there is git's folder, too.
        "protected": [*settings.copy.protected, ".git"],
        "exclude": list(settings.copy.exclude),
        "derived": elsewhere.derived(settings),
        "files": elsewhere.told(settings),
        "site": settings.maintenance.site,
        "built": {name: {"path": one.path, "sources": list(one.sources)} for name, one in settings.built.items()},
        "migrations": settings.migrate.directory,
        "caches": list(settings.clean.caches),
        "min_free_mib": settings.preflight.min_free_mib,
        "database": {"kind": database.kind, "url": database.url, "name": database.name},
    }
