"""What is wrong with a real production is found, and what is told to do mends it."""

from pathlib import Path

import pytest

from deploy.errors import Exit
from deploy.sandbox import stack
from deploy.sandbox.compose import answer, execute
from deploy.sandbox.home import Sandbox
from tests import leaks
from tests.sandbox.conftest import Inv
from tests.sandbox.test_events import events
from tests.sandbox.test_ways_out import ON_HOST

pytestmark = pytest.mark.stack

STATIC = "/app/app/static/release.txt"


@pytest.mark.does("start_program", "see_logs")
def test_a_server_that_is_stopped_is_the_cause_and_the_remedy_starts_it(sandbox: Sandbox, inv: Inv) -> None:
    execute(sandbox.app, "supervisorctl", "stop", "nginx")
    first, *_ = events(inv, "diagnose", code=Exit.FOUND)
    assert first["message"]["text"] == f"Supervisor does not run nginx in {sandbox.app}: STOPPED"
    assert any(one["text"].startswith("nginx: http://") for one in first["evidence"])
    (command,) = ON_HOST.findall(first["remedies"][0]["text"])
    execute(sandbox.app, *command.removeprefix(f"docker exec {sandbox.app} ").split())
    assert inv("logs", "--kind", "supervisor").code == 0
    # What else is wrong there is another test's.
    assert "Supervisor does not run" not in inv("diagnose").out
    assert inv("health").code == 0


@pytest.mark.deep
@pytest.mark.does("clean", "see_run")
def test_old_content_that_nginx_has_kept_is_found_and_cleaned_away(sandbox: Sandbox, inv: Inv) -> None:
    assert inv("clean").code == inv("diagnose").code == 0
    assert answer(sandbox.http_port, "/static/release.txt")[0] == 200
    was = execute(sandbox.app, "cat", STATIC)
    execute(sandbox.app, "sh", "-c", f"echo new >>{STATIC}", user="root")
    told = inv("diagnose")
    assert (told.code, "nginx (http://127.0.0.1:" in told.out) == (Exit.FOUND, True)
    assert "a cache on the way has kept the old" in told.out
    run = inv("clean").out.split()[1]
    assert inv("logs", "--run", run).code == 0
    assert inv("diagnose").code == 0
    execute(sandbox.app, "sh", "-c", f'printf "%s\\n" "$1" >{STATIC}', "sh", was, user="root")


@pytest.mark.deep
def test_a_bundle_of_an_app_that_crashes_has_all_of_it_and_no_secret(
    sandbox: Sandbox, inv: Inv, tmp_path: Path
) -> None:
    stack.break_(sandbox.name, "crash-loop")
    file = tmp_path / "bundle.txt"
    told = inv("diagnose", "--bundle", str(file))
    assert told.code == Exit.FOUND
    assert told.out.startswith("1. the app does not answer: SystemError: production fell ill here\n")
    text = file.read_text(encoding="utf-8")
    titles = ("Health", "Preflight", "Status", "History", "The last runs", "Facts", "State", "Logs: postgres")
    assert [title for title in titles if f" · {title} ══" not in text] == []
    # It is looked through for secrets as whatever a verb prints.
    leaks.printed.append(text)
