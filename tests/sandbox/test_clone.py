"""The clone on the host: submodules, a branch that was rewritten, names in any script, files that come and go."""

import re
import subprocess

import pytest

from deploy.sandbox import stack
from deploy.sandbox.compose import execute
from deploy.sandbox.git import commit, git
from deploy.sandbox.home import Sandbox
from deploy.sandbox.releases import SUBMODULE
from tests.sandbox.conftest import Inv

pytestmark = pytest.mark.stack


@pytest.mark.does("get_submodule")
def test_a_submodule_is_refused_until_its_commit_is_there_and_then_its_files_are_copied(
    sandbox: Sandbox, inv: Inv
) -> None:
    made = stack.release(sandbox.name, "submodule")
    refused = inv("hot-update", "--yes")
    assert (refused.code, f"of the submodule {SUBMODULE}" in refused.out) == (3, True), refused.text
    command = re.findall(r"→ (git .*?) on the host", refused.text)[-1]
    subprocess.run(["bash", "-c", command], check=True, capture_output=True)
    done = inv("hot-update", "--yes")
    assert done.code == 0, done.text
    words = git(sandbox.developer / SUBMODULE, "show", "HEAD:words.py")
    assert execute(sandbox.app, "cat", f"/app/{SUBMODULE}/words.py") == f"{words}\n"
    assert git(sandbox.path, "rev-parse", "HEAD") == made


@pytest.mark.does("go_back")
def test_a_release_that_is_gone_from_its_branch_is_told_and_can_be_gone_back_to(sandbox: Sandbox, inv: Inv) -> None:
    gone = stack.release(sandbox.name, "static")
    assert inv("hot-update", "--yes").code == 0
    stack.break_(sandbox.name, "rewritten-branch")
    new = git(sandbox.developer, "rev-parse", "HEAD")
    looked = inv("preflight")
    assert f"origin/main was rewritten from {gone[:7]} to {new[:7]}: 1 commit gone from it" in looked.out, looked.text
    assert f"production runs {gone[:7]}, which origin/main does not have" in looked.out
    assert "push" not in looked.out
    assert inv("hot-update", "--yes").code == 0
    back = inv("rollback", "--to", gone[:7], "--yes")
    assert back.code == 0, back.text
    assert git(sandbox.path, "rev-parse", "HEAD") == gone


def test_a_file_of_the_image_with_a_chinese_name_is_found_and_told_by_its_name(sandbox: Sandbox, inv: Inv) -> None:
    tree = sandbox.developer
    git(tree, "fetch", "--quiet", "origin")
    git(tree, "checkout", "--quiet", "--force", "-B", "main", "origin/main")
    (tree / "nginx/站点.conf").write_text("listen 8080;\n", encoding="utf-8")
    commit(tree, "A site")
    git(tree, "push", "--quiet", "origin", "main")
    looked = inv("preflight")
    assert "not suitable for a hot update: nginx/站点.conf changed" in looked.out, looked.text
    git(tree, "rm", "--quiet", "nginx/站点.conf")
    commit(tree, "No site")
    git(tree, "push", "--quiet", "origin", "main")
