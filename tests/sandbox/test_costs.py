"""What an update costs: its users, told by a probe, the way to the host, and the container."""

import json
import re
import subprocess
import time
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path

import pytest
import yaml

from deploy.sandbox import stack
from deploy.sandbox.command import run
from deploy.sandbox.home import Sandbox
from tests.bench import moved, releases
from tests.sandbox import imports
from tests.sandbox.conftest import Ended, Inv, run_inv
from tests.turns import counted

pytestmark = pytest.mark.stack

# TCP's own handshake passes the counting by. Connecting takes four more, a script three: channel, shell, answer. Each
# path of a health check is asked meanwhile, with a channel and a request.
CONNECT, SCRIPT, HEALTH = 4, 3, 2 * 2
# Read, carry out, prove, confirm.
SCRIPTS = 4
# Marks in the engine's events that an update has ended.
END = "the-update-has-ended"


def test_no_request_fails_and_what_the_probe_met_is_told_and_stands_in_the_history(sandbox: Sandbox, inv: Inv) -> None:
    stack.release(sandbox.name, "code")
    ended = inv("hot-update", "--yes", "--probe")
    assert ended.code == 0, ended.text
    (told,) = re.findall(
        r"^probe: (\d+) of (\d+) requests failed, longest gap .* s, slowest request .* s, longest wait for a lock .*$",
        ended.out,
        re.M,
    )
    assert f"probe: asking http://127.0.0.1:{sandbox.http_port}/api/v1/health/basic 10 times a second" in ended.out
    past = json.loads(inv("history", "--json").out)[-1]["probe"]
    assert (past["failed"], past["requests"]) == tuple(map(int, told))
    assert (past["failed"], past["requests"] > 0) == (0, True)
    assert f"probe: {told[0]} of {told[1]} requests failed" in inv("history").out


@dataclass(frozen=True)
class Cost:
    """What an update cost: how often it waited for the host, and which commands of our program it started, in order."""

    ended: Ended
    waits: int
    started: list[str]
    # What the engine told of it.
    engine: str


@pytest.fixture(scope="module")
def nothing(shared: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Cost:
    """What an update costs that finds nothing to do."""
    ended = run_inv(shared.name, "hot-update", "--yes")
    assert ended.code == 0, ended.text
    return cost(shared, tmp_path_factory.mktemp("nothing"))


@pytest.fixture(scope="module")
def code(nothing: Cost, shared: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Cost:
    """What an update of code costs."""
    stack.release(shared.name, "code")
    return cost(shared, tmp_path_factory.mktemp("code"))


def cost(sandbox: Sandbox, place: Path, how: str = "--yes") -> Cost:
    """Update from afar, or do as if, with the round trips and the engine's events counted."""
    asked = (f"--filter=container={sandbox.app}", "--filter=event=exec_start", "--format={{.Action}}")
    # Followed while they happen: of what is past the engine keeps a few hundred events of all containers, no more.
    with subprocess.Popen(("docker", "events", *asked), stdout=subprocess.PIPE, text=True) as events:
        time.sleep(1)
        with counted(sandbox.ssh_port) as turns:
            known = sandbox.known_hosts.read_text(encoding="utf-8").replace(f":{sandbox.ssh_port} ", f":{turns.port} ")
            (place / "known_hosts").write_text(known, encoding="utf-8")
            own = {
                "host": f"{sandbox.user}@127.0.0.1:{turns.port}",
                "ssh": {"known_hosts": str(place / "known_hosts")},
            }
            distant = place / "distant.yaml"
            distant.write_text(yaml.safe_dump({"targets": {sandbox.name: own}}), encoding="utf-8")
            ended = run_inv(sandbox.name, "-f", str(distant), "hot-update", how)
        run("docker", "exec", sandbox.app, "echo", END)
        assert events.stdout is not None
        told = "".join(takewhile(lambda line: END not in line, events.stdout))
        events.terminate()
    assert ended.code == 0, ended.text
    return Cost(ended, turns.count, re.findall(r" [0-9a-f]{64} (\w+|-) \{", told), told)


def test_with_nothing_to_do_an_update_waits_for_the_host_as_often_as_for_one_script(nothing: Cost) -> None:
    assert nothing.waits <= CONNECT + SCRIPT + HEALTH


def test_an_update_waits_for_the_host_as_often_as_for_four_scripts(code: Cost) -> None:
    assert code.waits <= CONNECT + SCRIPTS * SCRIPT + 2 * HEALTH


def test_an_update_starts_the_program_in_the_container_once_for_each_part_of_its_work(
    nothing: Cost, code: Cost
) -> None:
    assert nothing.started == ["inspect"]
    # Those of copy, clean, restart and the last look wait there for their turn.
    assert code.started == ["inspect", "bring", *["-"] * 4]


def test_where_every_check_is_content_nobody_reads_the_logs(nothing: Cost) -> None:
    assert ("exec_start: " in nothing.engine, "ls -t" in nothing.engine) == (True, False)


def test_a_dry_run_waits_for_one_script_and_for_one_more_where_migrations_are_pending(
    code: Cost, shared: Sandbox, tmp_path: Path
) -> None:
    for kind, scripts in (("code", 1), ("migration", 2)):
        stack.release(shared.name, kind)
        (tmp_path / kind).mkdir()
        ran = cost(shared, tmp_path / kind, "--dry-run")
        assert (ran.waits <= CONNECT + scripts * SCRIPT, ran.started) == (True, ["inspect"])


def test_an_update_without_a_probe_has_none_in_the_history(code: Cost, inv: Inv) -> None:
    assert "probe:" not in code.ended.text
    assert json.loads(inv("history", "--json").out)[-1]["probe"] is None


def test_a_changed_file_costs_the_container_little_more_than_its_size(
    nothing: Cost, sandbox: Sandbox, inv: Inv
) -> None:
    # Another test may have published what nobody brought.
    assert inv("hot-update", "--yes").code == 0
    releases.change_one_file(sandbox)
    assert sum(moved.carry_out(sandbox).values()) < releases.FILE_BYTES + 1024


def test_what_a_proof_has_imported_its_migration_does_not_import_again(
    sandbox: Sandbox, inv: Inv, tmp_path: Path
) -> None:
    settings = tmp_path / "noting.yaml"
    environment = {"PYTHONPATH": imports.FOLDER}
    settings.write_text(yaml.safe_dump({"migrate": {"environment": environment}}), encoding="utf-8")
    imports.watch(sandbox)
    stack.release(sandbox.name, "migration")
    ended = inv("-f", str(settings), "hot-update", "--yes")
    assert ended.code == 0, ended.text
    assert re.search(r"^ +database at ", ended.out, re.M), ended.text
    assert len(imports.noted(sandbox)) == 1
