"""What the tests of the harness and of databases share."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.settings.model import Database
from tests.scripts import servers
from tests.scripts.asked import Asked, World
from tests.scripts.runner import Clone, make_clone
from tests.scripts.servers import Server


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return make_clone(tmp_path / "clone")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    if servers.postgres_programs() is None or os.geteuid() != 0:
        pytest.skip("needs PostgreSQL's server, and root")
    pytest.importorskip("psycopg2")
    with servers.postgres() as server:
        yield server


@pytest.fixture(scope="session")
def mariadb() -> Iterator[Server]:
    if shutil.which("mariadb-install-db") is None or os.geteuid() != 0:
        pytest.skip("needs MariaDB's server, and root")
    pytest.importorskip("pymysql")
    with servers.mariadb() as server:
        yield server


WAYS = ("postgres", "postgres by URL", "mysql", "mysql by URL", "sqlite", "sqlite by URL")


@pytest.fixture(params=WAYS)
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    way = str(request.param)
    kind = way.split()[0]
    by_url = way.endswith("URL")
    if kind == "sqlite":
        file = tmp_path / "app" / "instance" / "shop.db"
        file.parent.mkdir(parents=True)
        sqlite3.connect(file).close()
        url, name, environment = f"sqlite:///{file}", str(file), dict(os.environ)
        # As Flask-SQLAlchemy is told of a file in the instance folder.
        environment["SHOP_URL"] = "sqlite:///shop.db"
    else:
        server: Server = request.getfixturevalue("postgres" if kind == "postgres" else "mariadb")
        url, name, environment = server.url, "shop", {**server.environment, "SHOP_URL": server.url}
    database = Database(kind=kind, name=name, user="shop", url="SHOP_URL" if by_url else "")  # type: ignore[arg-type]
    made = World(Asked(tmp_path, database, environment), url)
    made.empty()
    return made
