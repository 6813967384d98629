"""The database's scripts of a kind, as steps use them, where the containers are this machine."""

import json
import os
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import sqlalchemy

from deploy import inside, shell
from deploy.settings.model import Database
from deploy.state import inside_settings
from tests.build import SETTINGS
from tests.plain import plain_ended
from tests.scripts.docker_here import docker_here

# Of this process alone: who ends a run's sessions ends all of its processes that there are here.
RUN = f"20260101T000001-{os.getpid() & 0xFFFF:04x}"


@dataclass
class Asked:
    """A database as the settings say where it is, and what its containers have in their environment."""

    folder: Path
    database: Database
    environment: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    variables: dict[str, shell.Variable] = field(default_factory=dict)

    def bash(self, words: str, *sources: str, **variables: shell.Variable) -> "subprocess.CompletedProcess[str]":
        app = self.folder / "app"
        app.mkdir(exist_ok=True)
        inner = inside_settings(SETTINGS) | {
            "app": str(app),
            "record": str(self.folder / "record"),
            "server": "no-such-server",
            "database": {"kind": self.database.kind, "url": self.database.url, "name": self.database.name},
        }
        told: dict[str, shell.Variable] = {
            "path": str(self.folder),
            "container": "app",
            "python": sys.executable,
            "run": RUN,
            "inside_settings": json.dumps(inner),
            "database_container": "db" if self.database.in_service else "",
            "database_service": "db" if self.database.in_service else "",
            "database_kind": self.database.kind,
            "database": self.database.name,
            "database_user": self.database.user,
            "stamp_columns": ("notes.text", "notes.id", "gone.text"),
            "version_table": "",
            "backup_client": "host" if self.database.url and self.database.kind != "sqlite" else "",
            **inside.variables(),
            **self.variables,
            **variables,
        }
        names = ("containers.sh", f"scripts/database/{self.database.kind}.sh", "schema.sh", "waiting.sh", *sources)
        paths = f"PATH={shlex.quote(str(docker_here(self.folder / 'bin')))}:$PATH\nset -euo pipefail\n"
        # Too long for a word of a command line.
        script = self.folder / "script.sh"
        script.write_text(paths + shell.script(*names, **told) + words)
        ended = subprocess.run(
            ["bash", str(script)],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        return plain_ended(ended)

    def lines(self, words: str, *sources: str, **variables: shell.Variable) -> list[str]:
        ended = self.bash(words, *sources, **variables)
        if ended.returncode or ended.stderr:
            pytest.fail(f"{ended.returncode}: {ended.stderr}{ended.stdout}")
        return ended.stdout.splitlines()


@dataclass
class World:
    """A database with nothing in it, asked in one of the ways that there are, and changed by SQLAlchemy."""

    asked: Asked
    url: str

    def change(self, *statements: str) -> None:
        engine = sqlalchemy.create_engine(self.url)
        with engine.begin() as connection:
            for statement in statements:
                connection.exec_driver_sql(statement)
        engine.dispose()

    def empty(self) -> None:
        engine = sqlalchemy.create_engine(self.url)
        tables = sqlalchemy.inspect(engine).get_table_names()
        quoted = engine.dialect.identifier_preparer.quote
        engine.dispose()
        self.change(*(f"drop table {quoted(name)}" for name in tables))
