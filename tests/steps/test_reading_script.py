"""What the reading script and the preflight make of a clone on real git."""

import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from deploy import shell
from deploy.message import pack, say
from deploy.plan import Options
from deploy.preflight import judge
from deploy.verbs import preview
from tests.build import SETTINGS
from tests.steps.site import Site, write
from tests.texts import as_text


def evidence(site: Site, check: str, target: str = "remote") -> str:
    """What the one finding of this check says, and what to do."""
    (found,) = site.findings(check, target=target)
    return f"{found.level}: {found.evidence} → {found.remedy or ''}"


# Names and refs


def test_a_file_with_a_chinese_name_is_told_by_its_name(site: Site) -> None:
    site.release({".gitattributes": "*.bin filter=lfs\n", "数据/.gitattributes": "* filter=x\n"})
    assert site.read().repository.filters == (".gitattributes", "数据/.gitattributes")


def test_a_branch_is_known_beside_a_tag_and_a_branch_of_the_same_name(site: Site) -> None:
    site.git("tag", "-a", "-m", "a tag", "main", "HEAD")
    site.git("update-ref", "refs/remotes/main", "HEAD")
    new = site.release({"app.py": "two\n"})
    state = site.read()
    assert (state.repository.branch, state.repository.target) == ("main", new)
    assert site.sync(new).returncode == 0
    assert "HEAD\t" in site.read().guard
    assert site.read().repository.branch == "main"


@pytest.mark.parametrize("name", ["{id}", "{short}", "v1", "refs/tags/v1", "refs/else/where", "HEAD", "v1~0"])
def test_a_release_is_known_by_its_id_and_by_the_names_that_lead_to_it(site: Site, name: str) -> None:
    head = site.ref("HEAD")
    site.git("tag", "-a", "-m", "a tag", "v1", "HEAD")
    site.git("update-ref", "refs/else/where", site.ref("refs/tags/v1"))
    found = site.read("commit:" + name.format(id=head, short=head[:7]))
    assert found.repository.target == head


def test_a_name_that_may_be_several_commits_is_none(site: Site) -> None:
    old = site.ref("HEAD")
    new = site.release({"app.py": "two\n"})
    site.git("fetch", "-q")
    site.git("tag", "main", new)
    repository = site.read("commit:main").repository
    assert repository.target == ""
    meanings = as_text(repository.ambiguous)
    assert f"refs/tags/main is {new[:7]}" in meanings
    assert f"refs/heads/main is {old[:7]}" in meanings


def test_a_clone_behind_a_link_is_read_and_synced(foreign: Site) -> None:
    real = foreign.root / "real"
    foreign.clone.rename(real)
    foreign.clone.symlink_to(real)
    new = foreign.release({"app.py": "two\n"})
    subprocess.run(["chown", "-R", "nobody", str(real), str(foreign.origin)], check=True)
    repository = foreign.read().repository
    assert (repository.problem, repository.owner, repository.target) == ("", "nobody", new)
    done = foreign.sync(new)
    assert (done.returncode, done.stderr) == (0, "")


# Reading that fails


def test_a_folder_for_temporary_files_that_the_clones_owner_cannot_enter_is_no_matter(foreign: Site) -> None:
    write(foreign.clone / "app.py", "local\n")
    subprocess.run(["chown", "-R", "nobody", str(foreign.clone), str(foreign.origin)], check=True)
    (foreign.root / "tmp").chmod(0o700)
    assert foreign.read().repository.uncommitted == ("app.py",)


def test_what_cannot_be_read_is_a_finding_and_never_a_good_one(site: Site) -> None:
    write(site.clone / "app.py", "local\n")
    (site.clone / ".git/index").write_bytes(b"no index\n")
    for check in ("work tree", "commits", "protected paths"):
        assert "refusal: this could not be read: " in evidence(site, check)
        assert "index" in evidence(site, check)


def test_a_tree_that_is_damaged_is_not_taken_for_one_without_changes(site: Site) -> None:
    new = site.release({"nginx/site.conf": "one\n"})
    site.git("fetch", "-q")
    tree = site.git("rev-parse", f"{new}^{{tree}}")
    damaged = site.clone / ".git/objects" / tree[:2] / tree[2:]
    damaged.unlink()
    assert {found.level for found in judge(SETTINGS, site.read("head"), Options()) if found.check == "work tree"} == {
        "ok"
    }
    state = site.read(f"commit:{new}")
    assert {"work tree", "filters"} <= state.unread.keys()


def test_a_partial_clone_fetches_what_it_lacks_of_the_release_and_says_what_it_cannot_get(site: Site) -> None:
    site.git("config", "uploadpack.allowFilter", "true", folder=site.origin)
    site.git("config", "uploadpack.allowAnySHA1InWant", "true", folder=site.origin)
    site.git("config", "remote.origin.promisor", "true")
    site.git("config", "remote.origin.partialclonefilter", "blob:none")
    site.git("config", "extensions.partialClone", "origin")
    site.git("config", "core.repositoryFormatVersion", "1")
    new = site.release({"app.py": "two\n", "lib/new.py": "new\n"})
    assert site.read().unread == {}
    assert site.git("cat-file", "-t", f"{new}:lib/new.py") == "blob"
    last = site.release({"lib/new.py": "newer\n"})
    site.git("fetch", "-q")
    site.origin.rename(site.root / "gone.git")
    told = evidence(site, "repository", f"commit:{last}")
    assert told.startswith("refusal: this could not be read: the clone is partial and lacks 1 files of ")
    assert f"the clone is partial and lacks 1 files of {last[:7]}" in told


def test_a_file_that_would_differ_as_soon_as_it_is_written_is_found_beforehand(site: Site) -> None:
    made = site.release({"win.txt": "one\r\n", "auto.txt": "one\r\n"})
    assert site.sync(made).returncode == 0
    site.release({".gitattributes": "win.txt text eol=lf\nauto.txt text=auto\n"})
    assert evidence(site, "line endings").startswith(
        "refusal: win.txt has CRLF in git, and .gitattributes calls it text"
    )
    site.git("add", "--renormalize", ".", folder=site.author)
    last = site.release({"app.py": "two\n"})
    assert site.findings("line endings") == []
    assert site.sync(last).returncode == 0


# Submodules


@pytest.fixture
def library(site: Site) -> Path:
    """Another repository, which the releases take in as lib/shared."""
    folder = site.root / "library"
    site.git("init", "-q", "-b", "main", str(folder), folder=site.root)
    move(site, "one\n")
    return folder


def move(site: Site, text: str) -> str:
    """Commit to the library."""
    folder = site.root / "library"
    write(folder / "读 me.py", text)
    site.git("add", "-A", folder=folder)
    site.git("commit", "-q", "-m", "library", folder=folder)
    return site.git("rev-parse", "HEAD", folder=folder)


def take_in(site: Site) -> str:
    """Release the app with the library as it is."""
    allowed = ("-c", "protocol.file.allow=always")
    if not (site.author / "lib/shared").exists():
        site.git(*allowed, "submodule", "add", "-q", "../library", "lib/shared", folder=site.author)
    site.git("pull", "-q", "origin", "main", folder=site.author / "lib/shared")
    site.git("add", "-A", folder=site.author)
    site.git("commit", "-q", "-m", "take in the library", folder=site.author)
    site.git("push", "-q", "origin", "HEAD:main", folder=site.author)
    return site.git("rev-parse", "HEAD", folder=site.author)


def listed(site: Site, base: str, revision: str) -> dict[str, str]:
    """The files of the library that `entries` tells, each with the bytes of its blob."""
    scratch = site.root / "scratch"
    scratch.mkdir(exist_ok=True)
    names: dict[str, shell.Variable] = {"path": str(site.clone), "copied": (".",), "scratch": str(scratch)}
    told = shell.script("trees.sh", **names)
    command = f"{told}\nknow_submodules\nentries '{base}' {revision}"
    answer = subprocess.run(["bash", "-euo", "pipefail", "-c", command], env=site.environment, capture_output=True)
    assert (answer.returncode, answer.stderr) == (0, b"")
    found = {}
    words = answer.stdout.decode().split("\0")[1:]
    for header, name in zip(words[::2], words[1::2], strict=False):
        if header.startswith(":") and name.startswith("lib/shared"):
            blob = header.split(" ")[3]
            show = f"{told}\nknow_submodules\ngit_ cat-file blob {blob}" if blob.strip("0") else "true"
            found[name] = subprocess.run(
                ["bash", "-c", show], env=site.environment, capture_output=True, encoding="utf-8", check=True
            ).stdout
    return found


def test_a_submodule_that_the_clone_lacks_is_refused_and_the_command_gets_it(site: Site, library: Path) -> None:
    new = take_in(site)
    (found,) = site.findings("submodules")
    commit = site.git("rev-parse", "HEAD", folder=library)
    assert found.level == "refusal"
    assert found.evidence == f"the clone does not have {commit[:7]} of the submodule lib/shared"
    subprocess.run(["bash", "-c", found.remedy.split(" on the host")[0]], env=site.environment, check=True)
    assert site.findings("submodules") == []
    assert listed(site, "", new) == {"lib/shared/读 me.py": "one\n"}


def test_a_submodule_that_moved_is_refused_until_the_command_has_got_it(site: Site, library: Path) -> None:
    first = take_in(site)
    (found,) = site.findings("submodules")
    subprocess.run(["bash", "-c", found.remedy.split(" on the host")[0]], env=site.environment, check=True)
    move(site, "two\n")
    second = take_in(site)
    (found,) = site.findings("submodules")
    subprocess.run(["bash", "-c", found.remedy.split(" on the host")[0]], env=site.environment, check=True)
    assert site.findings("submodules") == []
    assert listed(site, first, second) == {"lib/shared/读 me.py": "two\n"}
    assert site.read(f"commit:{first}").repository.submodules == ()


def test_a_submodule_that_is_checked_out_is_taken_from_there_and_hinders_no_update(site: Site, library: Path) -> None:
    first = take_in(site)
    assert site.sync(first).returncode == 0
    site.git("-c", "protocol.file.allow=always", "submodule", "update", "-q", "--init")
    write(site.clone / "lib/shared/own.txt", "mine\n")
    move(site, "two\n")
    second = take_in(site)
    assert site.findings("submodules")[0].level == "refusal"
    site.git("fetch", "-q", "origin", folder=site.clone / "lib/shared")
    assert site.findings("submodules") == []
    assert evidence(site, "work tree").startswith("ok: ")
    done = site.sync(second)
    assert (done.returncode, done.stderr) == (0, "")
    assert (site.clone / "lib/shared/own.txt").read_text() == "mine\n"
    # What is checked out there is left at the first, and that hinders no later update either.
    third = site.release({"app.py": "three\n"})
    assert evidence(site, "work tree").startswith("ok: ")
    assert site.sync(third).returncode == 0
    assert listed(site, first, third) == {"lib/shared/读 me.py": "two\n"}


def test_a_submodule_whose_remote_is_gone_does_not_fail_the_fetch(site: Site, library: Path) -> None:
    assert site.sync(take_in(site)).returncode == 0
    site.git("-c", "protocol.file.allow=always", "submodule", "update", "-q", "--init")
    site.git("config", "fetch.recurseSubmodules", "true")
    move(site, "two\n")
    new = take_in(site)
    shutil.rmtree(library)
    assert evidence(site, "remote").startswith("ok: ")
    assert site.sync(new).returncode == 0


def test_a_submodule_that_a_release_drops_is_dropped_with_its_files(site: Site, library: Path) -> None:
    first = take_in(site)
    (found,) = site.findings("submodules")
    subprocess.run(["bash", "-c", found.remedy.split(" on the host")[0]], env=site.environment, check=True)
    site.git("rm", "-q", "lib/shared", folder=site.author)
    last = site.release({"app.py": "two\n"})
    site.git("fetch", "-q")
    assert listed(site, first, last) == {"lib/shared/读 me.py": ""}


def test_the_url_of_a_submodule_that_is_relative_to_ours_is_followed_without_our_password(
    site: Site, library: Path
) -> None:
    take_in(site)
    site.git("fetch", "-q")
    site.git("remote", "set-url", "origin", "https://bot:p@ss@git.example.com/team/app.git")
    (found,) = site.findings("submodules", target="commit:origin/main")
    assert "git clone --bare 'https://***@git.example.com/team/library'" in found.remedy
    assert "p@ss" not in found.remedy


# A branch that was rewritten


def rewrite(site: Site, text: str = "rewritten\n") -> str:
    """Put another commit in the place of the branch's last one."""
    site.git("reset", "-q", "--hard", "HEAD~1", folder=site.author)
    write(site.author / "app.py", text)
    site.git("commit", "-q", "-am", "in its place", folder=site.author)
    site.git("push", "-q", "-f", "origin", "HEAD:main", folder=site.author)
    return site.git("rev-parse", "HEAD", folder=site.author)


def test_what_the_branch_had_once_is_no_loss_and_it_is_told_where_it_went(site: Site) -> None:
    old = site.release({"app.py": "two\n"})
    assert site.sync(old).returncode == 0
    new = rewrite(site)
    assert evidence(site, "commits") == "ok: origin has them all → "
    assert evidence(site, "branch").startswith(
        f"warning: origin/main was rewritten from {old[:7]} to {new[:7]}: 1 commit gone from it → "
    )
    assert site.sync(new).returncode == 0
    assert site.findings("branch") == []


def test_a_release_that_is_gone_from_the_branch_is_gone_back_to_even_without_the_remote(site: Site) -> None:
    old = site.release({"app.py": "two\n"})
    assert site.sync(old).returncode == 0
    new = rewrite(site)
    assert site.sync(new).returncode == 0
    site.git("reflog", "expire", "--expire=now", "--expire-unreachable=now", "--all")
    site.git("gc", "-q", "--prune=now")
    site.origin.rename(site.root / "gone.git")
    assert site.read(f"commit:{old[:7]}").repository.target == old
    done = site.sync(old, back=True)
    assert (done.returncode, done.stderr, site.ref("HEAD")) == (0, "", old)


def test_a_commit_made_here_on_what_is_gone_from_the_branch_is_still_a_loss(site: Site) -> None:
    assert site.sync(site.release({"app.py": "two\n"})).returncode == 0
    site.git("commit", "-q", "--allow-empty", "-m", "local work")
    new = rewrite(site)
    (lost,) = site.read().repository.unpushed
    assert lost.values[1] == "local work"
    assert site.sync(new).returncode == 3


def test_what_a_run_brought_was_there_once_also_where_git_has_forgotten_it(site: Site) -> None:
    old = site.release({"app.py": "two\n"})
    assert site.sync(old).returncode == 0
    rewrite(site)
    site.git("fetch", "-q")
    site.git("reflog", "expire", "--expire=now", "--all")
    assert len(site.read("commit:origin/main").repository.unpushed) == 1
    run = ("1767225600", "20260101T000000-abcd", "hot-update", "somebody", "", old, "1767225500", "done", "", "", "")
    write(site.clone / ".git/hot-update/history", "\t".join(run) + "\n")
    assert site.read("commit:origin/main").repository.unpushed == ()


# A fetch that fails


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            "git@example.com: Permission denied (publickey).\nfatal: Could not read from remote repository.\n\n"
            "Please make sure you have the correct access rights\nand the repository exists.\n",
            "git@example.com: Permission denied (publickey). fatal: Could not read from remote repository.",
        ),
        (
            "fatal: unable to access 'https://bot:p@ss/w@rd@git.example.com/app.git/': Could not resolve host\n",
            "fatal: unable to access 'https://***@git.example.com/app.git/': Could not resolve host",
        ),
        (
            "remote: Invalid username or password.\nfatal: Authentication failed for 'https://token@git.example.com/'\n",
            "remote: Invalid username or password. fatal: Authentication failed for 'https://***@git.example.com/'",
        ),
    ],
)
def test_of_a_failed_fetch_the_cause_is_told_without_credentials(site: Site, said: str, told: str) -> None:
    script = f"{shell.script(path=str(site.clone))}\ngit_words"
    answer = subprocess.run(["bash", "-c", script], input=said, capture_output=True, encoding="utf-8", check=True)
    assert answer.stdout == told


# Under the lock


def test_files_that_keep_appearing_in_the_clone_are_no_change_to_it(site: Site) -> None:
    before = site.read("head").guard
    write(site.clone / "userdata/new.csv", "1\n")
    write(site.clone / "a note.txt", "2\n")
    assert site.read("head").guard == before


def test_what_was_changed_in_the_clone_is_named(site: Site) -> None:
    write(site.clone / "app.py", "local\n")
    named = shell.record(pack(say("work tree: %s", "app.py")), " M")
    assert f"{named}\n" in site.read("head").guard


def test_root_can_read_as_the_owner_of_the_clone(foreign: Site) -> None:
    subprocess.run(["chown", "-R", "nobody", str(foreign.clone), str(foreign.origin)], check=True)
    assert os.geteuid() == 0
    assert foreign.read().unread == {}


# What pending migrations say


def test_a_migration_is_read_as_the_commit_has_it_but_for_secrets(site: Site) -> None:
    (site.clone / ".env").write_text("DB_PASSWORD=hunter2hunter2\n")
    name = "migrations/versions/数.py"
    source = '"""Add \\t\tnotes."""\n\nx = "hunter2hunter2"\n    \nlast = 1'
    new = site.release({name: source})
    site.git("fetch", "-q")
    settings = replace(SETTINGS, target=replace(SETTINGS.target, path=str(site.clone)))
    asked = preview.script(settings, new, (name, "no/such.py"))
    told = subprocess.run(
        ["bash", "-c", asked], env=site.environment, capture_output=True, encoding="utf-8", check=True
    )
    assert preview.parse(told.stdout) == {name: source.replace("hunter2hunter2", "[DB_PASSWORD]") + "\n"}
