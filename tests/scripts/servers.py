"""Real database servers on this machine, each in a folder of its own, on a port of the loopback interface."""

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

PASSWORD = "w:rd@1 /%"
QUOTED = "w%3Ard%401%20%2F%25"


@dataclass(frozen=True)
class Server:
    """A server with the database and the user `shop`; `url` is for SQLAlchemy, `environment` is its container's."""

    url: str
    environment: dict[str, str]
    port: int


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


@contextmanager
def running(user: str, folder: Path, *command: str) -> Iterator[None]:
    account = pwd.getpwnam(user)
    process = subprocess.Popen(
        command,
        user=account.pw_uid,
        group=account.pw_gid,
        extra_groups=[],
        cwd=folder,
        stderr=(folder / "log").open("w"),
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT if user == "postgres" else signal.SIGTERM)
        process.wait(timeout=30)


def until(*command: str, environment: dict[str, str]) -> None:
    deadline = time.monotonic() + 30
    while subprocess.run(command, capture_output=True, env=environment, check=False).returncode:
        assert time.monotonic() < deadline
        time.sleep(0.1)


@contextmanager
def owned_folder(user: str) -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="server-"))
    shutil.chown(folder, user, user)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def postgres_programs() -> Path | None:
    return max(Path("/usr/lib/postgresql").glob("*/bin"), default=None)


@contextmanager
def postgres() -> Iterator[Server]:
    programs = postgres_programs()
    assert programs
    with owned_folder("postgres") as folder:
        (folder / "password").write_text(PASSWORD)
        port, data = free_port(), str(folder / "data")
        made = (
            "--pwfile",
            str(folder / "password"),
            "-A",
            "scram-sha-256",
            "-U",
            "shop",
            "-N",
            "-E",
            "UTF8",
            "--locale=C",
        )
        account = pwd.getpwnam("postgres")
        subprocess.run(
            [programs / "initdb", "-D", data, *made],
            user=account.pw_uid, group=account.pw_gid, extra_groups=[], cwd=folder, capture_output=True, check=True,
        )  # fmt: skip
        place = ("-c", f"port={port}", "-c", f"unix_socket_directories={folder}", "-c", "fsync=off")
        environment = {
            **os.environ,
            "PGHOST": "127.0.0.1",
            "PGPORT": str(port),
            "POSTGRES_PASSWORD": PASSWORD,
            "PGDATA": data,
        }
        with running("postgres", folder, str(programs / "postgres"), "-D", data, *place):
            inside = {**environment, "PGPASSWORD": PASSWORD}
            until("psql", "-U", "shop", "-d", "template1", "-c", "create database shop", environment=inside)
            url = f"postgresql+psycopg2://shop:{QUOTED}@127.0.0.1:{port}/shop"
            yield Server(url, environment, port)


@contextmanager
def mariadb() -> Iterator[Server]:
    with owned_folder("mysql") as folder:
        port, data = free_port(), str(folder / "data")
        account = pwd.getpwnam("mysql")
        root = "--auth-root-authentication-method=normal"
        # Temporary tables of two servers in one folder may have the same name.
        apart = {**os.environ, "TMPDIR": str(folder)}
        subprocess.run(
            ["mariadb-install-db", "--no-defaults", f"--datadir={data}", root, "--skip-test-db"], env=apart,
            user=account.pw_uid, group=account.pw_gid, extra_groups=[], cwd=folder, capture_output=True, check=True,
        )  # fmt: skip
        place = (f"--port={port}", "--bind-address=127.0.0.1", f"--socket={folder}/socket", f"--tmpdir={folder}")
        environment = {
            **os.environ,
            "HOME": str(folder),
            "MARIADB_PASSWORD": PASSWORD,
            "MARIADB_ROOT_PASSWORD": PASSWORD,
        }
        (folder / ".my.cnf").write_text(f"[client]\nsocket={folder}/socket\n")
        with running("mysql", folder, "/usr/sbin/mariadbd", "--no-defaults", f"--datadir={data}", *place):
            grants = (
                "create database shop character set utf8mb4",
                f"create user shop@localhost identified by '{PASSWORD}'",
                f"create user shop@'127.0.0.1' identified by '{PASSWORD}'",
                "grant all on shop.* to shop@localhost",
                "grant all on shop.* to shop@'127.0.0.1'",
                "grant all on `shop\\_restore%`.* to shop@'127.0.0.1'",
                f"set password for root@localhost = password('{PASSWORD}')",
            )
            until("mariadb", "-u", "root", "-e", "select 1", environment=environment)
            subprocess.run(["mariadb", "-u", "root", "-e", ";".join(grants)], env=environment, check=True)
            yield Server(f"mysql+pymysql://shop:{QUOTED}@127.0.0.1:{port}/shop", environment, port)
