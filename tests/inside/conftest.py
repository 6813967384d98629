"""What the tests of the program inside the container begin with."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.inside.server import APP, OLDEST, SERVER, Gunicorn
from tests.inside.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture
def gunicorn(tmp_path: Path) -> Iterator[Gunicorn]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    made = Gunicorn(tmp_path, port)
    (tmp_path / "record").mkdir()
    made.settings = {
        "app": str(tmp_path),
        "record": str(tmp_path / "record"),
        "server": SERVER,
        "paths": ["/"],
        "exclusive": ["scheduler.lock"],
        "serves": True,
        "boot_timeout": 20,
        "drain_timeout": 20,
        "after_copy": False,
    }
    (tmp_path / "wsgi.py").write_text(APP)
    (tmp_path / "import_seconds").write_text("0")
    (tmp_path / "gunicorn.conf.py").write_text("")
    os.utime(tmp_path / "gunicorn.conf.py", (0, 0))
    (tmp_path / SERVER).write_text("import sys\nfrom gunicorn.app.wsgiapp import run\nsys.exit(run())\n")
    made.release("old")
    yield made
    if made.process:
        # At once, and with its workers.
        made.process.send_signal(signal.SIGQUIT)
        made.process.wait()


@pytest.fixture
def oldest(gunicorn: Gunicorn, pytestconfig: pytest.Config) -> Gunicorn:
    """The oldest Gunicorn of the range, fetched once."""
    folder = pytestconfig.cache.mkdir(f"gunicorn-{OLDEST}") if pytestconfig.cache else gunicorn.place / "library"
    if not (folder / f"gunicorn-{OLDEST}.dist-info").exists():
        words = ["-m", "pip", "install", "--quiet", "--no-deps", "--target", str(folder), f"gunicorn=={OLDEST}"]
        subprocess.run([sys.executable, *words], check=True)
    gunicorn.library = str(folder)
    return gunicorn
