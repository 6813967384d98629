"""The script that tells the logs, where the container is this machine."""

import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from deploy import inside, shell
from deploy.state.records import OF_LOGS
from tests.scripts.docker_here import docker_here

SECRET = "s3cret-of-the-app"
# Beside what docker_here does: the engine's list has no container, its log of one is a file.
OUTPUT = """#!/bin/bash
case $1 in
  ps) exit ;;
  inspect)
    case "$*" in
      *Restarting*) cat "$(dirname "$0")/state" ;;
      *Config.Env*) echo TZ=Asia/Shanghai ;;
      *) echo true ;;
    esac
    exit ;;
  cp) tar -c -C / "${3#app:/}"; exit ;;
  logs)
    case " $* " in
      *' --follow '*) exec tail -n 0 -f "$(dirname "$0")/output" ;;
      *) cat "$(dirname "$0")/output"; exit ;;
    esac ;;
esac
exec "$(dirname "$0")/here/docker" "$@"
"""


@dataclass
class Site:
    """A clone with its env file, a log, and the script with what it is told."""

    folder: Path

    @property
    def log(self) -> Path:
        return self.folder / "app.log"

    def script(self, *, follow: bool, tail: int = 200) -> str:
        asked = {"files": [str(self.log)], "positions": {}, "optional": False, "tail": tail, "follow": follow}
        told: dict[str, shell.Variable] = {
            "path": str(self.folder),
            "env_file": str(self.folder / ".env"),
            "secret_words": ("SECRET",),
            "secret_keys": (),
            "secret_min_length": 8,
            "container": "app",
            "service": "web",
            "also": (),
            "inside_settings": "{}",
            "wanted_service": "",
            "want_output": True,
            "want_journal": False,
            "readers": ("", sys.executable, json.dumps(asked)[1:-1], str(self.log)),
            "logs_program": inside.logs(),
            "tail": tail,
            "since": "",
            "ago": "",
            "until": "",
            "run": "",
            "follow": follow,
            "told_until": (),
            "record_fields": OF_LOGS,
        }
        paths = f"PATH={shlex.quote(str(self.folder / 'bin'))}:$PATH\n"
        return paths + shell.script("redact.sh", "containers.sh", "logs.sh", **told)

    def start(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(["bash", "-c", self.script(follow=True)], stdout=subprocess.PIPE)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    docker_here(tmp_path / "bin").joinpath("here").mkdir()
    (tmp_path / "bin/docker").rename(tmp_path / "bin/here/docker")
    (tmp_path / "bin/docker").write_text(OUTPUT)
    (tmp_path / "bin/docker").chmod(0o755)
    (tmp_path / "bin/state").write_text("true")
    (tmp_path / ".env").write_text(f"APP_SECRET={SECRET}\n")
    (tmp_path / "app.log").write_text(f"2026-07-02 10:00:00 a\tb\\c {SECRET}\n")
    (tmp_path / "bin/output").write_text(f"2026-07-02T10:00:00.123456789Z printed {SECRET}\r\nno such log\n")
    return Site(tmp_path)


def processes(site: Site) -> list[str]:
    """The processes that the script has started: each has its folder among its words or its environment."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if str(site.folder / "bin").encode() in (place / "environ").read_bytes():
                found.append((place / "cmdline").read_text().replace("\0", " ")[:80])
        except OSError:
            continue
    return found


def test_lines_are_records_and_their_secrets_are_gone(site: Site) -> None:
    ended = subprocess.run(
        ["bash", "-c", site.script(follow=False)], capture_output=True, text=True, check=True, timeout=60
    )
    assert SECRET not in ended.stdout
    told = [fields for fields in shell.records(ended.stdout) if fields[0] not in ("beat", "found")]
    assert ("line", "app:", "", "2026-07-02T10:00:00.123456789Z", "printed [APP_SECRET]") in told
    assert ("unread", "app:", "no such log") in told
    (line,) = [fields for fields in told if fields[:2] == ("line", f"app:{site.log}")]
    assert line[4] == "2026-07-02 10:00:00 a\tb\\c [APP_SECRET]"
    assert {fields for fields in told if fields[0] in ("reader", "read")} == {
        (kind, name) for kind in ("reader", "read") for name in ("app:", "app:files")
    }


def test_of_a_container_that_does_not_run_the_files_are_told_as_it_left_them(site: Site) -> None:
    (site.folder / "bin/state").write_text("false")
    site.log.with_name("app.log.1").write_text("2026-07-02 09:00:00 before\n")
    ended = subprocess.run(
        ["bash", "-c", site.script(follow=False)], capture_output=True, text=True, check=True, timeout=60
    )
    told = [fields for fields in shell.records(ended.stdout) if fields[0] in ("stopped", "line", "absent")]
    source = f"app:{site.log}"
    assert [fields for fields in told if fields[:2] != ("line", "app:")] == [
        ("stopped", "app"),
        ("line", source, "", "+0800", "2026-07-02 09:00:00 before"),
        ("line", source, "", "+0800", "2026-07-02 10:00:00 a\tb\\c [APP_SECRET]"),
    ]


@pytest.fixture
def following(site: Site) -> Iterator["subprocess.Popen[bytes]"]:
    running = site.start()
    assert running.stdout
    while not running.stdout.readline().startswith(b"read\tapp:files"):
        """The program tells what there is."""
    yield running
    running.kill()
    running.wait()


def gone(site: Site) -> bool:
    end = time.monotonic() + 20
    while processes(site) and time.monotonic() < end:
        time.sleep(0.1)
    return processes(site) == []


def test_what_comes_is_told_as_it_comes(site: Site, following: "subprocess.Popen[bytes]") -> None:
    with site.log.open("a") as stream:
        stream.write(f"2026-07-02 10:00:01 more {SECRET}\n")
    assert following.stdout
    for line in following.stdout:
        fields = shell.fields(line.decode().rstrip("\n"))
        if fields[0] == "line" and fields[4].endswith("more [APP_SECRET]"):
            break


def test_nothing_runs_on_once_nobody_reads(site: Site, following: "subprocess.Popen[bytes]") -> None:
    assert processes(site) != []
    assert following.stdout
    following.stdout.close()
    assert gone(site), processes(site)


def test_nothing_runs_on_after_a_kill(site: Site, following: "subprocess.Popen[bytes]") -> None:
    os.kill(following.pid, signal.SIGKILL)
    assert following.stdout
    following.stdout.close()
    assert gone(site), processes(site)
