"""The kernel's account of a container's memory, as files of both versions of control groups tell it."""

import subprocess
from pathlib import Path

import pytest

from deploy import shell
from tests.plain import plain_ended

MIB = 1 << 20
FIRST = "4:memory:/docker/abc\n3:cpu,cpuacct:/docker/abc\n0::/docker/abc\n"
SECOND = "0::/system.slice/docker-abc.scope\n"
UNLIMITED = "9223372036854771712"


def account(place: Path, version: int, *, limit: str, kills: int = 0) -> None:
    """Lay the files that the kernel would show of process 7."""
    lines = FIRST if version == 1 else SECOND
    group = place / ("memory/docker/abc" if version == 1 else "system.slice/docker-abc.scope")
    names = {
        1: ("memory.limit_in_bytes", "memory.usage_in_bytes", "memory.oom_control"),
        2: ("memory.max", "memory.current", "memory.events"),
    }[version]
    group.mkdir(parents=True)
    (place / "7").mkdir()
    (place / "meminfo").write_text(f"MemTotal:       {1024 * 1024} kB\nMemFree: 1 kB\n")
    (place / "7/cgroup").write_text(lines)
    (group / names[0]).write_text(f"{limit}\n")
    (group / names[1]).write_text(f"{100 * MIB}\n")
    (group / names[2]).write_text(f"oom 3\noom_kill {kills}\n")
    (group / "memory.stat").write_text(f"anon 1\nactive_file {10 * MIB}\ninactive_file {20 * MIB}\n")


def bash(place: Path, words: str, **variables: shell.Variable) -> "subprocess.CompletedProcess[str]":
    told = shell.script("containers.sh", container="app", cgroups=str(place), processes=str(place), **variables)
    command = ["bash", "-c", f"set -euo pipefail\n{told}\n{words}"]
    return plain_ended(subprocess.run(command, capture_output=True, text=True, check=False, timeout=30))


@pytest.mark.parametrize("version", [1, 2])
def test_the_file_cache_counts_as_room(tmp_path: Path, version: int) -> None:
    account(tmp_path, version, limit=str(256 * MIB), kills=2)
    assert bash(tmp_path, "memory 7").stdout == "256\t70\t2\n"


@pytest.mark.parametrize(("version", "limit"), [(1, UNLIMITED), (2, "max"), (2, str(2048 * MIB))])
def test_a_group_without_a_limit_has_none(tmp_path: Path, version: int, limit: str) -> None:
    account(tmp_path, version, limit=limit)
    assert bash(tmp_path, "memory 7").stdout == "\t70\t0\n"


def test_an_account_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    ended = bash(tmp_path, "if memory 7; then echo told; fi; killed_before=0; tell_killed 1")
    assert (ended.returncode, ended.stdout) == (0, "")


@pytest.mark.parametrize(
    ("before", "status", "said"),
    [
        ("1", 137, "the kernel killed a process in app for want of memory (its limit: 256 MiB; oom_kill: 2)\n"),
        ("2", 137, ""),
        ("1", 0, ""),
        ("", 137, ""),
    ],
)
def test_only_what_was_killed_since_the_plan_explains_a_failure(
    tmp_path: Path, before: str, status: int, said: str
) -> None:
    account(tmp_path, 2, limit=str(256 * MIB), kills=2)
    ended = bash(tmp_path, f"docker() {{ echo 7 false; }}; tell_killed {status}", killed_before=before)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", said)


def test_a_container_that_was_killed_itself_is_told_as_docker_tells_it(tmp_path: Path) -> None:
    ended = bash(tmp_path, "docker() { echo 0 true; }; tell_killed 1", killed_before="0")
    assert ended.stderr == "app was killed for want of memory, says docker (OOMKilled)\n"
