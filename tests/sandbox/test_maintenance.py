"""The maintenance page on the real stack: users get it, health checks the app, and the site is as before."""

import urllib.error
import urllib.request

import pytest

from deploy.errors import Exit
from deploy.sandbox import stack
from deploy.sandbox.command import works
from deploy.sandbox.compose import answer, execute
from deploy.sandbox.home import Sandbox
from tests.sandbox.conftest import Inv, SettingsFile
from tests.test_events import document

pytestmark = pytest.mark.stack

HEALTH = "/api/v1/health/basic"
SITES = "cat /etc/nginx/sites-enabled/* /etc/nginx/templates/* 2>/dev/null || true"
_opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def asked(sandbox: Sandbox, path: str, method: str = "GET") -> tuple[int, str | None, str]:
    """Ask through Nginx: the status, Retry-After and what came."""
    request = urllib.request.Request(f"http://127.0.0.1:{sandbox.http_port}{path}", method=method)
    try:
        with _opener.open(request, timeout=10) as response:
            return response.status, response.headers["Retry-After"], response.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.headers["Retry-After"], error.read().decode()


@pytest.mark.does("page_off")
def test_users_get_the_page_and_health_checks_the_app_until_it_is_taken_away(sandbox: Sandbox, inv: Inv) -> None:
    before = execute(sandbox.app, "sh", "-c", SITES)
    on = inv("maintenance", "on")
    assert on.code == 0, on.text
    for path, method in (("/", "GET"), ("/static/release.txt", "GET"), ("/api/things", "POST")):
        status, retry_after, page = asked(sandbox, path, method)
        assert (status, retry_after, "系统维护中" in page) == (503, "300", True)
    assert (asked(sandbox, HEALTH)[0], answer(sandbox.app_port, "/")[0]) == (200, 200)
    told = document(inv("status", "--json").out)
    assert told["maintenance"]["on"] is True
    assert {worker["memory_mib"] > 0 for program in told["programs"] for worker in program["workers"]} == {True}
    assert [(one["name"], one["age_s"] > 0) for one in told["recreated"]["tagged"]] == [(sandbox.image, True)]
    # What is lost of it keeps no Nginx from starting.
    execute(sandbox.app, "rm", "-r", "/var/lib/hot-update/maintenance")
    assert works("docker", "exec", sandbox.app, "nginx", "-t")
    assert inv("maintenance", "off").code == 0
    assert (asked(sandbox, "/")[0], execute(sandbox.app, "sh", "-c", SITES)) == (200, before)


@pytest.mark.deep
@pytest.mark.does("page_again")
def test_a_page_that_went_with_its_container_is_told_and_can_be_put_there_again(sandbox: Sandbox, inv: Inv) -> None:
    assert inv("maintenance", "on").code == 0
    stack.break_(sandbox.name, "recreated")
    assert f"gone, since {sandbox.app} was recreated" in inv("status").out
    assert "was recreated" in inv("maintenance", "on").out
    assert asked(sandbox, "/")[0] == 503
    again = inv("maintenance", "on")
    assert (again.code, "nothing to do · on, users get a page (503): put there" in again.out) == (0, True)
    assert inv("maintenance", "off").code == 0
    off = inv("maintenance", "off")
    assert (off.code, off.out) == (0, "maintenance off: nothing to do · it is off\n")
    assert (asked(sandbox, "/")[0], "maintenance  " in inv("status").out) == (200, False)


@pytest.mark.deep
def test_a_release_that_is_ill_is_undone_behind_the_page_and_the_app_comes_back(
    today: Sandbox, inv_today: Inv, given: SettingsFile
) -> None:
    before = execute(today.app, "sh", "-c", SITES)
    stack.release(today.name, "unhealthy")
    failed = inv_today(*given("health: {timeout: 3}\n"), "hot-update", "--maintenance", "--yes")
    assert failed.code == Exit.UNDONE, failed.text
    steps = [line for line in failed.out.splitlines() if line.startswith(("✓", "✗")) and "maintenance" in line]
    assert [line.rsplit(" ", 2)[0] for line in steps] == [
        "✓ maintenance-on",
        "✗ maintenance-off",
        "✗ maintenance-off: undoing what",
        "✓ undo maintenance-off",
        "✓ undo maintenance-on",
    ]
    assert (asked(today, "/")[0], execute(today.app, "sh", "-c", SITES)) == (200, before)


@pytest.mark.deep
def test_an_update_with_another_site_keeps_the_page_and_its_end_brings_the_new_site(
    today: Sandbox, inv_today: Inv
) -> None:
    assert inv_today("maintenance", "on").code == 0
    stack.release(today.name, "code")
    stack.release(today.name, "nginx")
    updated = inv_today("hot-update", "--with", "nginx", "--yes")
    assert updated.code == 0, updated.text
    assert "! maintenance on, users get a page (503)" in updated.out
    assert (asked(today, "/")[0], asked(today, HEALTH)[0]) == (503, 200)
    assert inv_today("bake").code == Exit.REFUSED
    assert inv_today("maintenance", "off").code == 0
    assert asked(today, "/")[0] == 200
    assert "changed by hand" not in inv_today("preflight").out
