"""What the frontend is built from changes: users get the new one with the release, or are told that they don't."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.sandbox import stack
from deploy.sandbox.command import run
from deploy.sandbox.compose import answer, execute
from deploy.sandbox.git import git
from deploy.sandbox.home import Sandbox
from tests.bench.client import asking
from tests.sandbox.conftest import Ended, Inv, SettingsFile

pytestmark = pytest.mark.stack

DIST = "/app/frontend/dist"
COMMAND = "built: {frontend: {command: sh frontend/build}}"
PATHSPEC = ":(glob)frontend/**"


@pytest.fixture
def clean(today: Sandbox) -> Iterator[Sandbox]:
    """Nobody has built anything in production's clone."""
    yield today
    shutil.rmtree(today.path / "frontend/dist", ignore_errors=True)


def update(inv: Inv, *words: str) -> Ended:
    return inv("hot-update", "--yes", *words)


def page(sandbox: Sandbox) -> str:
    return answer(sandbox.http_port, "/")[1]


def assets(text: str) -> list[str]:
    return sorted(word for word in text.split('"') if word.startswith("/assets/"))


def files(sandbox: Sandbox) -> str:
    """Every served file, byte for byte, with its mode, its owner and its age."""
    tell = f"cd {DIST} && find . -type f -exec sha256sum {{}} + -exec stat -c '%n %a %U %y' {{}} + | sort"
    return execute(sandbox.app, "sh", "-c", tell)


def stale(inv: Inv) -> list[str]:
    found: list[str] = json.loads(inv("status", "--json").out)["stale_builds"]
    return found


def build_in(tree: Path) -> None:
    run("sh", tree / "frontend/build")
    told = run("git", "-C", tree, "ls-files", "-s", "-z", "--", PATHSPEC)
    made = run("git", "-C", tree, "hash-object", "--stdin", stdin=told)
    (tree / "frontend/dist/.sources").write_text(made, encoding="utf-8")


def test_a_release_whose_frontend_nobody_built_is_refused_and_says_what_is_missing(
    clean: Sandbox, inv_today: Inv
) -> None:
    stack.release(clean.name, "frontend")
    refused = update(inv_today)
    assert (refused.code, "refused, nothing was changed" in refused.err) == (3, True)
    assert f"users go on getting {DIST} as it was built" in refused.text
    assert f"{clean.path}/frontend/dist is not there" in refused.text


def test_users_get_what_a_command_builds_and_of_then_after_a_rollback_and_no_request_fails(
    clean: Sandbox, inv_today: Inv, given: SettingsFile
) -> None:
    assert update(inv_today, *given(COMMAND)).code == 0
    before = page(clean)
    stack.release(clean.name, "frontend")
    doors: dict[str, int | str] = {
        "page": f"{clean.http_port}/",
        **{name: f"{clean.http_port}{name}" for name in assets(before)},
    }
    with asking(doors, 20) as requests:
        ended = update(inv_today, *given(COMMAND))
    assert (ended.code, [one for one in requests if not one.good]) == (0, []), ended.text
    after = page(clean)
    assert assets(before) != assets(after)
    for asset in assets(before) + assets(after):
        assert answer(clean.http_port, asset)[0] == 200
    assert (stale(inv_today), update(inv_today).out.count("nothing to do")) == ([], 1)
    back = inv_today("rollback", "--yes")
    assert (back.code, page(clean), stale(inv_today)) == (0, before, []), back.text
    assert "the host has built these sources before" in inv_today("hot-update", "--dry-run").out


def test_what_lies_in_the_hosts_clone_is_taken_where_its_digest_tells(clean: Sandbox, inv_today: Inv) -> None:
    stack.release(clean.name, "frontend")
    build_in(clean.developer)
    shutil.copytree(clean.developer / "frontend/dist", clean.path / "frontend/dist")
    wanted = (clean.path / "frontend/dist/index.html").read_text(encoding="utf-8")
    ended = update(inv_today)
    assert (ended.code, page(clean), stale(inv_today)) == (0, wanted, []), ended.text
    assert ".sources" not in files(clean)


def test_the_laptop_builds_it_from_the_commit_whatever_its_clone_is_at(
    clean: Sandbox, inv_today: Inv, given: SettingsFile
) -> None:
    stack.release(clean.name, "frontend")
    git(clean.developer, "checkout", "--quiet", "HEAD~1")
    settings = f"built: {{frontend: {{where: laptop, command: sh frontend/build}}}}\ngit: {{clone: {clean.developer}}}"
    before = page(clean)
    ended = update(inv_today, *given(settings))
    assert (ended.code, page(clean) != before, stale(inv_today)) == (0, True, []), ended.text


def test_a_build_that_fails_touches_nothing(clean: Sandbox, inv_today: Inv, given: SettingsFile) -> None:
    before, head = files(clean), git(clean.path, "rev-parse", "HEAD")
    stack.release(clean.name, "frontend")
    failing = "built: {frontend: {command: 'echo no such module; exit 1'}}"
    refused = update(inv_today, *given(failing))
    assert (refused.code, "no such module" in refused.text) == (3, True), refused.text
    assert (files(clean), git(clean.path, "rev-parse", "HEAD")) == (before, head)


def test_with_an_ill_release_the_old_frontend_is_back_byte_for_byte(
    clean: Sandbox, inv_today: Inv, given: SettingsFile
) -> None:
    before = files(clean)
    stack.release(clean.name, "frontend")
    stack.release(clean.name, "unhealthy")
    ended = update(inv_today, *given(f"{COMMAND}\nhealth: {{timeout: 5}}"))
    assert (ended.code, "ship" in ended.text, files(clean)) == (5, True, before), ended.text
    assert stale(inv_today) == []
    stack.release(clean.name, "code")


@pytest.mark.does("BUILD_LATER", "build_or_keep")
def test_what_was_kept_is_told_until_a_build_comes(clean: Sandbox, inv_today: Inv, given: SettingsFile) -> None:
    stack.release(clean.name, "frontend")
    kept = update(inv_today, "--keep-built")
    assert (kept.code, stale(inv_today)) == (0, ["frontend"]), kept.text
    told = "frontend was built from other sources than those of the release that runs"
    assert (told in kept.out, told in inv_today("health").out, told in inv_today("status").out) == (True, True, True)
    stack.release(clean.name, "code")
    later = update(inv_today)
    assert (later.code, told in later.out) == (0, True), later.text
    built = update(inv_today, *given(COMMAND))
    assert (built.code, stale(inv_today), told in built.out) == (0, [], False), built.text
