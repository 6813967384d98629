"""How scripts on the host talk with the program in the container: the real ones, on this machine."""

import json
import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from deploy import inside, shell
from tests.inside.world import World, lay
from tests.plain import plain_ended
from tests.scripts.docker_here import docker_here
from tests.scripts.runner import until

# Says what went into the container.
COUNT = 'docker_() { tee -a sent | command docker "$@"; }; timeout() { shift 4; docker_ "$@"; }\n'


class Host(World):
    """A clone and an app's folder, and the scripts between them."""

    def bash(self, words: str, **variables: shell.Variable) -> "subprocess.CompletedProcess[str]":
        told = self.settings | {"revision": variables.get("revision", "")}
        script = shell.script(
            "containers.sh",
            "trees.sh",
            "commit.sh",
            path=str(self.repo),
            container="app",
            python=sys.executable,
            inside_settings=json.dumps(told),
            copied=(".",),
            recorded=(self.record / "record.json").exists(),
            **inside.variables(),
            **variables,
        )
        paths = f"PATH={shlex.quote(str(docker_here(self.place / 'bin')))}:$PATH\nset -euo pipefail\n"
        command = ["bash", "-c", paths + script + COUNT + words]
        ended = subprocess.run(command, cwd=self.place, capture_output=True, text=True, check=False, timeout=60)
        return plain_ended(ended)

    def copy(self, revision: str) -> int:
        """Copy a commit, and count the bytes that went into the container."""
        (self.place / "sent").write_bytes(b"")
        ended = self.bash("bring false", revision=revision)
        assert (ended.returncode, ended.stderr) == (0, "")
        return (self.place / "sent").stat().st_size


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def files() -> dict[str | bytes, bytes | str]:
    return {f"pkg/{number}.py": f"{number}".encode() for number in range(2000)}


def test_a_second_copy_costs_little_more_than_what_changed(host: Host) -> None:
    first = host.copy(host.commit(files()))
    content = os.urandom(8192)
    second = host.copy(host.commit({"pkg/7.py": content}))
    assert (host.app / "pkg/7.py").read_bytes() == content
    assert second - len(content) < 1024 < first


def test_a_container_that_has_lost_the_program_gets_it_again(host: Host) -> None:
    host.copy(host.commit(files()))
    (host.record / "program").unlink()
    assert host.copy(host.commit({"a.py": b"a"})) > len(inside.program())
    assert (host.app / "a.py").read_bytes() == b"a"


def test_a_base_that_the_clone_has_not_costs_every_entry_and_no_more(host: Host) -> None:
    host.copy(host.commit(files()))
    record = host.recorded() | {"revision": "1" * 40}
    (host.record / "record.json").write_text(json.dumps(record))
    lay(host.app, "pkg/7.py", b"by hand")
    host.copy(host.commit({"a.py": b"a"}))
    assert ((host.app / "a.py").read_bytes(), (host.app / "pkg/7.py").read_bytes()) == (b"a", b"7")


# As a step does that was begun ahead of its turn; from here on no program is started.
READY = "ahead=60; stand_ready; start_inside() { echo started >&2; return 1; }\n"


def test_a_program_that_stands_ready_carries_out_a_command_as_one_that_is_started(host: Host) -> None:
    host.copy(host.commit({"pkg/7.py": b"7"}))
    ended = host.bash(f"{READY}bring false", revision=host.commit({"pkg/7.py": b"new"}))
    assert (ended.returncode, ended.stderr, (host.app / "pkg/7.py").read_bytes()) == (0, "", b"new")
    assert "1 file written" in ended.stdout


def test_it_is_sent_the_program_where_the_container_has_lost_that(host: Host) -> None:
    host.copy(host.commit({"pkg/7.py": b"7"}))
    (host.record / "program").unlink()
    ended = host.bash(f"{READY}bring false", revision=host.commit({"pkg/7.py": b"new"}))
    assert (ended.returncode, ended.stderr, (host.app / "pkg/7.py").read_bytes()) == (0, "", b"new")


@pytest.mark.parametrize("how", ["%s", "words=$(%s)"])
def test_it_carries_out_one_command_and_says_how_that_failed(host: Host, how: str) -> None:
    host.copy(host.commit({"pkg/7.py": b"7"}))
    once = how % 'inside apply "$inside_settings" </dev/null'
    ended = host.bash(f"{READY}for _ in 1 2; do {once} || echo ended with $?; done", revision="1" * 40)
    assert (ended.stdout, ended.stderr) == ("ended with 1\n" * 2, "apply: nothing was scanned before\nstarted\n")


def test_one_that_has_ended_before_it_was_needed_is_replaced(host: Host) -> None:
    host.copy(host.commit({"pkg/7.py": b"7"}))
    ended = host.bash(
        """ahead=60
        eval "start_$(declare -f start_inside)"
        start_inside() { exit 137; }
        stand_ready
        until [ -e ready.$$.status ]; do sleep 0.02; done
        eval "$(declare -f start_start_inside | sed '1s/start_//')"
        bring false""",
        revision=host.commit({"pkg/7.py": b"new"}),
    )
    assert (ended.returncode, ended.stderr, (host.app / "pkg/7.py").read_bytes()) == (0, "", b"new")


def test_it_is_not_left_waiting_where_not_all_can_be_said(host: Host) -> None:
    host.copy(host.commit({"pkg/7.py": b"7"}))
    ended = host.bash(f"{READY}entries() {{ return 1; }}; bring false", revision=host.commit({"pkg/7.py": b"new"}))
    assert (ended.returncode, (host.app / "pkg/7.py").read_bytes()) == (1, b"7")


def test_it_is_ended_after_the_time_that_its_command_has(host: Host) -> None:
    host.copy(host.commit({"pkg/7.py": b"7"}))
    input_ = "input() { while hear; do :; done; }; inside_timeout=1\n"
    told = r'"${inside_settings%\}}, \"whole\": false}"'
    ended = host.bash(f"{READY}{input_}inside bring {told} input || echo ended", revision=host.commit({"a.py": b"a"}))
    assert (ended.returncode, ended.stdout, "started" in ended.stderr) == (0, "ended\n", False)


def test_it_ends_with_a_step_that_does_not_need_it(host: Host) -> None:
    host.copy(host.commit({"pkg/7.py": b"7"}))
    assert host.bash(READY).returncode == 0
    until(lambda: any(path.read_text() for path in host.place.glob("ready.*.status")))


@pytest.mark.parametrize("shell_", ["set -euo pipefail", "set +euo pipefail"])
def test_a_command_that_fails_says_so_whatever_is_on_its_way_to_it(host: Host, shell_: str) -> None:
    ended = host.bash(f'{shell_}; if inside apply "$inside_settings"; then echo done; fi', revision="1" * 40)
    assert (ended.stdout, ended.stderr) == ("", "apply: nothing was scanned before\n")


def test_what_the_engine_says_instead_of_the_program_is_passed_on(host: Host) -> None:
    engine = "docker_() { echo 'OCI runtime exec failed'; return 126; }"
    ended = host.bash(f'{engine}; inside apply "$inside_settings" || echo "ended with $?"', revision="1" * 40)
    assert (ended.stdout, ended.stderr) == ("ended with 126\n", "OCI runtime exec failed\n")


def test_output_that_cannot_be_written_is_a_failure(host: Host) -> None:
    host.copy(host.commit(files()))
    ended = host.bash('if echo 40 | inside list "$inside_settings" >/dev/full; then echo done; fi', revision="1" * 40)
    assert ended.stdout == ""


def test_a_list_that_git_cannot_finish_is_not_taken_for_the_whole(host: Host) -> None:
    host.copy(host.commit(files()))
    base = host.git("rev-parse", "HEAD").decode().strip()
    ended = host.bash(f"set +e; entries {base} {'1' * 40} 2>/dev/null | tr '\\0' .", revision="1" * 40)
    assert ended.stdout == ""


def test_a_container_that_does_not_answer_ends_the_script(host: Host) -> None:
    ended = host.bash("python=/nonexistent; docker_() { return 7; }; bring false; echo on", revision="1" * 40)
    assert (ended.returncode, ended.stdout) == (7, "")
