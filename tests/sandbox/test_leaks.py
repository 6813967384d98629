"""What the stack starts itself may know its secrets; what docker exec starts may not show them."""

import os
from pathlib import Path

import pytest

from deploy import shell
from deploy.host import connect
from deploy.sandbox import stack
from deploy.sandbox.command import run
from deploy.sandbox.home import Sandbox
from deploy.settings import load
from deploy.settings.model import Secrets
from deploy.state import read_script
from deploy.state.records import RECORDS
from tests.leaks import Watch
from tests.sandbox.conftest import ROOT, Inv

pytestmark = pytest.mark.stack

SECRET = "made-up-0123456789abcdef"
# A shell that does not become the program that it runs.
PROGRAM = ("sh", "-c", "sleep 2; exit", SECRET)


def programs_found(sandboxes: Path, *docker: str) -> list[str]:
    """Run the program by docker with a secret on its command line; the commands found but docker's own."""
    made_up = sandboxes / f"demo-{os.getpid()}"
    made_up.mkdir()
    (made_up / "env").write_text(f"SECRET_KEY={SECRET}\n", encoding="utf-8")
    with Watch(sandboxes) as watch:
        run("docker", *docker)
        lines = [found.removeprefix("SECRET_KEY is in the command line of ") for found in watch.found()]
    assert any(line.startswith("docker ") for line in lines), lines
    return [line for line in lines if line.startswith("sh ")]


def test_what_docker_exec_starts_is_looked_at(shared: Sandbox, tmp_path: Path) -> None:
    found = programs_found(tmp_path, "exec", shared.app, *PROGRAM)
    assert found == ["sh -c sleep 2; exit [SECRET_KEY]"]


def test_what_a_container_starts_itself_is_its_own(shared: Sandbox, tmp_path: Path) -> None:
    found = programs_found(tmp_path, "run", "--rm", "--entrypoint", "sh", shared.image, *PROGRAM[1:])
    assert found == []


def test_secrets_that_are_words_of_ours_or_names_of_the_settings_change_no_decision(sandbox: Sandbox, inv: Inv) -> None:
    commit = stack.release(sandbox.name, "migration")
    stack.break_(sandbox.name, "secret-words")
    updated = inv("hot-update", "--yes")
    assert updated.code == 0, updated.text
    assert f"{sandbox.name} runs {commit[:7]} and is healthy" in updated.out
    assert "nothing to do" in inv("hot-update", "--yes").out
    run("docker", "stop", sandbox.database)
    assert f"docker start {sandbox.database}" in inv("preflight").out


def test_the_host_answers_in_no_record_and_no_field_that_is_not_declared(sandbox: Sandbox) -> None:
    declared = {kind: fields for kind, *fields in (line.split() for line in RECORDS)}
    settings = load(project=ROOT, target=sandbox.name)
    host = connect(settings.target, settings.ssh, ask=None)
    told = list(shell.records(host.run(read_script(settings, target="remote")).stdout))
    assert {kind for kind, *fields in told if len(fields) > len(declared.get(kind, ()))} - {"end", "lock_held"} == set()
    assert {kind for kind, *_ in told} <= set(declared)


@pytest.mark.parametrize("there", [True, False])
def test_without_an_env_file_the_secrets_are_what_the_containers_were_given(docker: None, there: bool) -> None:
    """One that is gone has none to tell, and what is said of that is shown."""
    name, key = f"given-{os.getpid()}", "-----BEGIN KEY-----\nq83vEjRWeJC\n-----END KEY-----"
    given = (f"DB_PASSWORD={SECRET}", f"PRIVATE_KEY={key}", f"URL=postgresql://shop:{SECRET}@db/shop", "PLAIN=plainly")
    words = tuple(word for one in given for word in ("--env", one))
    told: dict[str, shell.Variable] = {"secret_words": Secrets().words, "secret_keys": (), "secret_min_length": 6}
    script = shell.script("redact.sh", env_file="", container=name, database_container="gone", **told) + "redact\n"
    if there:
        run("docker", "run", "--detach", "--name", name, *words, "debian:bookworm-slim", "sleep", "infinity")
    try:
        shown = run("bash", "-c", script, stdin=f"{SECRET}\nq83vEjRWeJC\nplainly\n")
    finally:
        if there:
            run("docker", "rm", "--force", name)
    assert shown.splitlines() == (["[DB_PASSWORD]", "[PRIVATE_KEY]"] if there else [SECRET, "q83vEjRWeJC"]) + [
        "plainly"
    ]
