"""The sync step on real git: a bare origin, an author who pushes to it, and the clone on the host."""

import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plain import plain_bytes
from tests.steps.site import HEAD_REF, PROTECTED, RUN, Site, make, write

ODD_NAMES = (
    "中文 文件.txt",
    "a'b\"c.txt",
    "-rf",
    "$HOME `id`.txt",
    "tab\there",
    "new\nline",
    "[x]*?.txt",
    ":(top)x",
    "@",
)


def assert_at(site: Site, revision: str) -> None:
    assert site.ref("HEAD") == revision
    assert site.git("symbolic-ref", "HEAD") == "refs/heads/main"
    assert site.git("status", "--porcelain", "-uno") == ""


# Moving


def test_a_clean_clone_moves_to_the_commit_and_says_what_came(site: Site) -> None:
    old = site.ref("HEAD")
    site.release({"app.py": "two\n"}, "second")
    new = site.release({"app.py": "three\n"}, "third: 中文")
    done = site.sync(new)
    assert done.stderr == ""
    short = site.git("rev-parse", "--short=7", f"{new}~1")
    assert done.stdout.splitlines() == [
        f"main: {old[:7]} -> {new[:7]} (2 commits)",
        f"  {new[:7]} third: 中文",
        f"  {short} second",
    ]
    assert_at(site, new)


def test_only_the_five_newest_subjects_are_shown(site: Site) -> None:
    for number in range(7):
        new = site.release({"app.py": f"{number}\n"}, f"change {number}")
    lines = site.sync(new).stdout.splitlines()
    assert "(7 commits)" in lines[0]
    assert [line.split(maxsplit=1)[1] for line in lines[1:]] == [f"change {number}" for number in (6, 5, 4, 3, 2)]


def test_a_clean_clone_at_the_commit_is_left_alone(site: Site) -> None:
    head = site.ref("HEAD")
    done = site.sync(head)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"already at {head[:7]}\n", "")


def test_files_that_git_does_not_know_stay(site: Site) -> None:
    write(site.clone / "lib/notes.txt", "mine\n")
    write(site.clone / "debug.log", "ignored\n")
    new = site.release({"lib/tool.py": "two\n"})
    assert site.sync(new).returncode == 0
    assert (site.clone / "lib/notes.txt").read_text() == "mine\n"
    assert (site.clone / "debug.log").read_text() == "ignored\n"
    assert (site.clone / ".env").read_text() == "SECRET_KEY=abcdefgh\n"
    assert (site.clone / "userdata/upload.bin").read_text() == "customer\n"


def test_files_deleted_upstream_disappear(site: Site) -> None:
    new = site.release({"lib/tool.py": None})
    assert site.sync(new).returncode == 0
    assert not (site.clone / "lib").exists()


def test_a_planned_commit_behind_the_branch_is_reached_too(site: Site) -> None:
    planned = site.release({"app.py": "two\n"})
    site.release({"app.py": "three\n"})
    assert site.sync(planned).returncode == 0
    assert_at(site, planned)


def test_a_detached_head_comes_back_to_the_branch_without_a_new_upstream(site: Site) -> None:
    new = site.release({"app.py": "two\n"})
    site.git("checkout", "-q", "--detach")
    site.git("branch", "--unset-upstream", "main")
    assert site.sync(new).returncode == 0
    assert_at(site, new)
    assert subprocess.run(["git", "-C", site.clone, "config", "branch.main.remote"], check=False).returncode == 1


def test_another_branch_keeps_its_commits_where_they_are(site: Site) -> None:
    new = site.release({"app.py": "two\n"})
    site.git("checkout", "-q", "-b", "feature")
    site.git("commit", "-q", "--allow-empty", "-m", "feature work")
    feature = site.ref("feature")
    done = site.sync(new)
    assert done.returncode == 0, done.stderr
    assert_at(site, new)
    assert site.ref("refs/heads/feature") == feature
    assert site.saved() == []


def test_a_clone_without_any_commit_is_filled(site: Site) -> None:
    new = site.release({"app.py": "two\n"})
    site.git("update-ref", "-d", "refs/heads/main")
    (site.clone / ".git/index").unlink()
    for name in ("app.py", "lib/tool.py", ".gitignore"):
        (site.clone / name).unlink()
    done = site.sync(new)
    assert (done.returncode, done.stdout.splitlines()[0]) == (0, f"main: {new[:7]} (2 commits)"), done.stderr
    assert_at(site, new)


def test_a_clone_that_tracks_another_branch_only_is_synced_too(site: Site) -> None:
    site.git("config", "remote.origin.fetch", "+refs/heads/other:refs/remotes/origin/other")
    new = site.release({"app.py": "two\n"})
    assert site.sync(new).returncode == 0
    assert_at(site, new)


def test_the_hooks_of_the_clone_are_not_run(site: Site) -> None:
    for name in ("post-checkout", "reference-transaction", "post-index-change", "pre-auto-gc"):
        write(site.clone / ".git/hooks" / name, "#!/bin/sh\ntouch hook-ran\nexit 1\n").chmod(0o755)
    write(site.clone / "app.py", "local\n")
    new = site.release({"app.py": "two\n"})
    site.git("-c", "core.hooksPath=/dev/null", "checkout", "-q", "--detach")
    assert site.sync(new, discard=True).returncode == 0
    assert not (site.clone / "hook-ran").exists()
    assert_at(site, new)


def test_nothing_is_left_in_the_folder_for_temporary_files(site: Site) -> None:
    write(site.clone / "app.py", "local\n")
    site.sync(site.release({"app.py": "two\n"}), discard=True)
    assert list((site.root / "tmp").iterdir()) == []


# Refusals


def test_an_index_lock_that_was_there_is_refused_and_kept(site: Site) -> None:
    lock = write(site.clone / ".git/index.lock", "")
    at = lock.stat().st_mtime - 12 * 60 - 5
    os.utime(lock, (at, at))
    done = site.sync(site.release({"app.py": "two\n"}))
    assert done.returncode == 3
    assert done.stderr == (
        "another git is at work in the clone, or one was killed here: .git/index.lock, 12 minutes old"
        f" · if no git runs there, remove it: rm '{lock}'\n"
    )
    assert lock.exists()


def test_the_index_lock_of_our_own_killed_git_is_removed(site: Site) -> None:
    new = site.release({"app.py": "two\n"})
    site.git("config", "filter.deadly.smudge", "kill -9 $PPID")
    write(site.clone / ".git/info/attributes", "app.py filter=deadly\n")
    done = site.sync(new)
    assert done.returncode == 137
    assert f"git could not bring the clone to {new[:7]}" in done.stderr
    assert not (site.clone / ".git/index.lock").exists()


def test_an_index_lock_that_another_git_takes_meanwhile_is_kept(site: Site) -> None:
    new = site.release({"app.py": "two\n"})
    real = shutil.which("git")
    fake = f'#!/bin/sh\ncase "$*" in *"reset -q"*) touch "{site.clone}/.git/index.lock" ;; esac\nexec {real} "$@"\n'
    write(site.root / "bin/git", fake).chmod(0o755)
    assert site.sync(new, path=str(site.root / "bin")).returncode == 128
    assert (site.clone / ".git/index.lock").exists()


def test_a_remote_that_was_asked_ahead_of_the_turn_is_not_asked_again(site: Site) -> None:
    new = site.release({"app.py": "two\n"}, "second")
    ended = site.sync_ahead(new, lambda: site.git("remote", "set-url", "origin", "../gone.git"))
    assert (ended.returncode, site.ref("HEAD")) == (0, new)


def test_a_remote_that_could_not_be_asked_ahead_is_asked_in_turn(site: Site) -> None:
    new = site.release({"app.py": "two\n"}, "second")
    site.git("remote", "set-url", "origin", "../gone.git")
    ended = site.sync_ahead(new, lambda: site.git("remote", "set-url", "origin", "../origin.git"))
    assert (ended.returncode, site.ref("HEAD")) == (0, new)


def test_a_sync_whose_turn_never_comes_changes_and_says_nothing(site: Site) -> None:
    head, new = site.ref("HEAD"), site.release({"app.py": "two\n"}, "second")
    ended = site.sync_ahead(new, lambda: None, turn=False)
    assert (ended.returncode, ended.stdout, ended.stderr, site.ref("HEAD")) == (0, "", "", head)


def test_a_failed_fetch_tells_what_git_said(site: Site) -> None:
    head = site.ref("HEAD")
    site.git("remote", "set-url", "origin", str(site.root / "gone.git"))
    done = site.sync(head)
    assert done.returncode == 3
    assert done.stderr.startswith("git fetch origin main failed: ")
    assert "gone.git" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_fetch_without_an_answer_is_given_up(site: Site) -> None:
    site.git("remote", "set-url", "origin", "ext::sleep 30")
    site.git("config", "protocol.ext.allow", "always")
    script = site.script(site.ref("HEAD")).replace("fetch_timeout=20", "fetch_timeout=1")
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", script], env=site.environment, capture_output=True)
    assert done.returncode == 3
    assert b"no answer within 1 s" in plain_bytes(done.stderr)


def test_a_planned_commit_that_left_the_branch_is_refused(site: Site) -> None:
    planned = site.release({"app.py": "two\n"})
    site.git("fetch", "-q")
    site.git("reset", "-q", "--hard", "HEAD~1", folder=site.author)
    site.git("push", "-q", "-f", "origin", "HEAD:main", folder=site.author)
    before = site.snapshot()
    done = site.sync(planned)
    assert done.returncode == 3
    assert f"the planned commit {planned[:7]} is no longer on origin/main" in done.stderr
    assert site.snapshot() == before


@pytest.mark.parametrize(
    "name",
    [".env", "userdata/sub/file", "userdata", ".venv/bin/python", "userdata/a tree in it", "data", "data/keep/file"],
)
def test_a_commit_that_tracks_a_protected_path_is_refused_even_with_discard(site: Site, name: str) -> None:
    planned = site.release({name: "from upstream\n"})
    before = site.snapshot()
    done = site.sync(planned, discard=True)
    assert done.returncode == 3
    assert f"tracks what must never be overwritten: {name}" in done.stderr
    assert site.snapshot() == before


def test_a_commit_may_track_what_lies_beside_a_protected_path(site: Site) -> None:
    new = site.release({"data/readme.md": "two\n", "userdata.md": "two\n", "secret": "two\n"})
    assert site.sync(new).returncode == 0
    assert (site.clone / "data/readme.md").read_text() == "two\n"


def test_a_submodule_that_the_release_replaces_by_a_file_is_not_lost(site: Site) -> None:
    site.git("update-index", "--add", "--cacheinfo", f"160000,{'1' * 40},vendor", folder=site.author)
    site.git("commit", "-q", "-m", "a submodule", folder=site.author)
    site.git("push", "-q", "origin", "HEAD:main", folder=site.author)
    assert site.sync(site.git("rev-parse", "HEAD", folder=site.author)).returncode == 0
    write(site.clone / "vendor/unpushed.txt", "mine\n")
    site.git("rm", "-q", "--cached", "vendor", folder=site.author)
    new = site.release({"vendor": "a file\n"})
    done = site.sync(new)
    assert (done.returncode, "vendor/unpushed.txt" in done.stderr) == (3, True)
    assert (site.clone / "vendor/unpushed.txt").read_text() == "mine\n"


def test_what_stands_in_place_of_a_folder_of_assumed_files_is_not_lost(site: Site) -> None:
    assert site.sync(site.release({"a/b": "one\n"})).returncode == 0
    site.git("update-index", "--assume-unchanged", "a/b")
    (site.clone / "a/b").unlink()
    (site.clone / "a").rmdir()
    write(site.clone / "a", "mine\n")
    done = site.sync(site.release({"app.py": "two\n"}))
    assert (done.returncode, "1 untracked file in the way (a)" in done.stderr) == (3, True)
    assert (site.clone / "a").read_text() == "mine\n"


def test_what_would_be_lost_is_counted_and_named_and_nothing_changes(site: Site) -> None:
    new = site.release({"app.py": "two\n", "added.py": "upstream\n"})
    site.git("commit", "-q", "--allow-empty", "-m", "local work")
    write(site.clone / "app.py", "local\n")
    write(site.clone / "added.py", "mine\n")
    before = site.snapshot()
    done = site.sync(new)
    own = site.git("rev-parse", "--short=7", "HEAD")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        "1 uncommitted change (app.py), 1 untracked file in the way (added.py), "
        f"1 commit that origin does not have ({own} local work) would be lost · nothing was changed; "
        f"--discard saves this under refs/hot-update/saved/{RUN} and then discards it\n"
    )
    assert site.snapshot() == before


def test_names_cannot_break_the_line_or_reach_the_terminal(site: Site) -> None:
    new = site.release({"new\nline\x1b[31m": "one\n"})
    write(site.clone / "new\nline\x1b[31m", "mine\n")
    done = site.sync(new)
    assert "(new?line?[31m)" in done.stderr
    assert len(done.stderr.splitlines()) == 1


# Each thing that can be lost: a change to the clone, made before the same release every time

UPSTREAM: dict[str, str | None] = {
    "app.py": "two\n",
    "added.py": "upstream\n",
    "folder/inside.py": "upstream\n",
    "plain": "upstream\n",
    "ignored.log": "upstream\n",
}


def conflict(site: Site) -> None:
    site.git("checkout", "-q", "-b", "side")
    write(site.clone / "app.py", "side\n")
    site.git("commit", "-q", "-am", "side")
    site.git("checkout", "-q", "main")
    write(site.clone / "app.py", "main\n")
    site.git("commit", "-q", "-am", "ours")
    with pytest.raises(subprocess.CalledProcessError):
        site.git("merge", "side")


def link_elsewhere(site: Site) -> None:
    write(site.root / "elsewhere/inside.py", "outside\n")
    (site.clone / "folder").symlink_to(site.root / "elsewhere")


def replaced_by_a_folder(site: Site) -> None:
    (site.clone / "app.py").unlink()
    write(site.clone / "app.py/notes.txt", "mine\n")


def replaced_by_a_file(site: Site) -> None:
    shutil.rmtree(site.clone / "lib")
    write(site.clone / "lib", "mine\n")


def hidden(flag: str, name: str) -> object:
    def apply(site: Site) -> None:
        site.git("update-index", flag, name)
        write(site.clone / name, "local\n")

    return apply


LOSSES = {
    "a changed file": lambda site: write(site.clone / "app.py", "local\n"),
    "a binary file": lambda site: (site.clone / "app.py").write_bytes(bytes(range(256)) * 9),
    "Windows line endings where git tidies them": lambda site: (
        write(site.clone / ".git/info/attributes", "* text=auto\n"),
        write(site.clone / "app.py", "local\r\n"),
    ),
    "an executable bit": lambda site: (site.clone / "app.py").chmod(0o755),
    "a deleted file": lambda site: (site.clone / "app.py").unlink(),
    "a staged new file": lambda site: (write(site.clone / "staged.py", "new\n"), site.git("add", "staged.py")),
    "a new file that is only announced": lambda site: (
        write(site.clone / "staged.py", "new\n"),
        site.git("add", "-N", "staged.py"),
    ),
    "a staged rename": lambda site: site.git("mv", "app.py", "renamed.py"),
    "a symlink in place of a file": lambda site: (
        (site.clone / "app.py").unlink(),
        (site.clone / "app.py").symlink_to("/nowhere"),
    ),
    "an unfinished merge with a conflict": conflict,
    "an untracked file where the release has one": lambda site: write(site.clone / "added.py", "mine\n"),
    "an ignored file where the release has one": lambda site: write(site.clone / "ignored.log", "mine\n"),
    "a file where the release needs a folder": lambda site: write(site.clone / "folder", "mine\n"),
    "a link where the release needs a folder": link_elsewhere,
    "a folder where the release has a file": lambda site: write(site.clone / "plain/deep/file.log", "mine\n"),
    "a tracked file replaced by a folder": replaced_by_a_folder,
    "a tracked folder replaced by a file": replaced_by_a_file,
    "a file removed from the index only": lambda site: site.git("rm", "-q", "--cached", "app.py"),
    "a change hidden by assume-unchanged": hidden("--assume-unchanged", "lib/tool.py"),
    "a change hidden by assume-unchanged that the release changes": hidden("--assume-unchanged", "app.py"),
    "a change hidden by skip-worktree that the release changes": hidden("--skip-worktree", "app.py"),
}


def contents(folder: Path) -> dict[str, object]:
    """Every file but the protected ones: its bytes, its executable bit, a link's target."""
    found: dict[str, object] = {}
    for file in sorted(folder.rglob("*")):
        name = str(file.relative_to(folder))
        if name.split("/")[0] in (".git", *PROTECTED) or (file.is_dir() and not file.is_symlink()):
            continue
        found[name] = str(file.readlink()) if file.is_symlink() else (file.read_bytes(), file.stat().st_mode & 0o100)
    return found


@pytest.mark.parametrize("loss", LOSSES)
def test_is_refused_without_discard(site: Site, loss: str) -> None:
    new = site.release(UPSTREAM)
    LOSSES[loss](site)  # type: ignore[operator]
    before = site.snapshot()
    done = site.sync(new)
    assert done.returncode == 3
    assert "would be lost" in done.stderr
    assert site.snapshot() == before


@pytest.mark.parametrize("loss", LOSSES)
def test_is_saved_discarded_and_brought_back_by_the_printed_command(site: Site, loss: str) -> None:
    new = site.release(UPSTREAM)
    LOSSES[loss](site)  # type: ignore[operator]
    before = contents(site.clone)
    head = site.ref("HEAD")
    done = site.sync(new, discard=True)
    assert done.returncode == 0, done.stderr
    assert_at(site, new)
    assert {name: (site.clone / name).read_text() for name in UPSTREAM} == UPSTREAM
    assert site.git("merge-base", head, HEAD_REF) == head
    site.bring_back(done.stdout)
    assert contents(site.clone) == before


def test_what_a_link_points_to_is_never_touched(site: Site) -> None:
    new = site.release(UPSTREAM)
    link_elsewhere(site)
    assert site.sync(new, discard=True).returncode == 0
    assert (site.root / "elsewhere/inside.py").read_text() == "outside\n"


def test_a_file_kept_by_skip_worktree_that_the_release_leaves_alone_is_no_loss(site: Site) -> None:
    site.git("update-index", "--skip-worktree", "lib/tool.py")
    write(site.clone / "lib/tool.py", "local\n")
    new = site.release({"app.py": "two\n"})
    assert site.sync(new).returncode == 0
    assert (site.clone / "lib/tool.py").read_text() == "local\n"


@pytest.mark.parametrize("flag", ["--skip-worktree", "--assume-unchanged"])
def test_an_unchanged_file_with_a_hiding_flag_is_no_loss(site: Site, flag: str) -> None:
    site.git("update-index", flag, "app.py")
    new = site.release({"app.py": "two\n"})
    done = site.sync(new)
    assert done.returncode == 0, done.stderr
    assert (site.clone / "app.py").read_text() == "two\n"


def test_what_is_staged_is_saved_apart_from_what_lies_on_disk(site: Site) -> None:
    head = site.ref("HEAD")
    write(site.clone / "app.py", "staged\n")
    site.git("add", "app.py")
    write(site.clone / "app.py", "on disk\n")
    site.sync(site.release({"lib/tool.py": "two\n"}), discard=True)
    assert site.git("show", f"{HEAD_REF}:app.py") == "on disk"
    assert site.git("show", f"{HEAD_REF}~1:app.py") == "staged"
    assert site.ref(f"{HEAD_REF}~2") == head


def test_an_unfinished_merge_is_saved_with_both_parents_and_forgotten(site: Site) -> None:
    conflict(site)
    sides = {site.ref("main"), site.ref("side")}
    site.sync(site.release({"app.py": "two\n"}), discard=True)
    assert set(site.git("rev-list", "--parents", "-n", "1", HEAD_REF).split()[1:]) == sides
    assert not (site.clone / ".git/MERGE_HEAD").exists()


def test_unpushed_commits_are_kept_as_they_are(site: Site) -> None:
    site.git("commit", "-q", "--allow-empty", "-m", "local work")
    own = site.ref("HEAD")
    done = site.sync(site.release({"app.py": "two\n"}), discard=True)
    assert site.ref(HEAD_REF) == own
    assert "1 left behind" in done.stdout
    site.bring_back(done.stdout)
    assert site.ref("HEAD") == own


def test_commits_on_a_detached_head_and_on_the_branch_are_both_kept(site: Site) -> None:
    site.git("commit", "-q", "--allow-empty", "-m", "on main")
    on_main = site.ref("HEAD")
    site.git("checkout", "-q", "--detach", "HEAD~1")
    site.git("commit", "-q", "--allow-empty", "-m", "detached")
    detached = site.ref("HEAD")
    new = site.release({"app.py": "two\n"})
    assert site.sync(new).returncode == 3
    done = site.sync(new, discard=True)
    assert_at(site, new)
    assert (site.ref(HEAD_REF), site.ref(f"refs/hot-update/saved/{RUN}/branch")) == (detached, on_main)
    site.bring_back(done.stdout)
    assert site.ref(f"recovered-{RUN}-branch") == on_main


def test_a_rebase_that_stopped_is_forgotten(site: Site) -> None:
    conflict(site)
    site.git("merge", "--abort")
    with pytest.raises(subprocess.CalledProcessError):
        site.git("rebase", "side")
    new = site.release({"app.py": "two\n"})
    done = site.sync(new, discard=True)
    assert done.returncode == 0, done.stderr
    assert_at(site, new)
    assert not (site.clone / ".git/rebase-merge").exists()


def test_changes_at_the_planned_commit_itself_are_discarded_too(site: Site) -> None:
    head = site.ref("HEAD")
    write(site.clone / "app.py", "local\n")
    done = site.sync(head, discard=True)
    assert done.stdout.splitlines()[-1] == f"main: at {head[:7]}"
    assert_at(site, head)


def test_saving_needs_no_identity_and_leaves_the_stash_alone(site: Site) -> None:
    write(site.clone / "app.py", "stashed\n")
    site.git("stash", "-q")
    stash = site.ref("refs/stash")
    site.git("config", "user.useConfigOnly", "true")
    site.git("config", "commit.gpgSign", "true")
    site.git("config", "gpg.program", "/bin/false")
    write(site.clone / "app.py", "local\n")
    assert site.sync(site.release({"app.py": "two\n"}), discard=True).returncode == 0
    assert site.ref("refs/stash") == stash


def test_what_cannot_be_saved_is_not_discarded(site: Site) -> None:
    new = site.release({"plain": "upstream\n"})
    site.git("init", "-q", str(site.clone / "plain"), folder=site.root)
    before = site.snapshot()
    done = site.sync(new, discard=True)
    assert done.returncode != 0
    assert "git cannot save plain/.git/" in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert site.snapshot() == before


def test_a_pipe_in_the_way_is_not_discarded(site: Site) -> None:
    new = site.release({"plain": "upstream\n"})
    os.mkfifo(site.clone / "plain")
    done = site.sync(new, discard=True)
    assert done.returncode == 3
    assert "nothing was discarded" in done.stderr
    assert (site.clone / "plain").is_fifo()


# Protected paths in the old commit or in the index


def test_a_protected_file_that_the_release_stops_tracking_stays_on_disk(site: Site) -> None:
    site.release({".env": "committed\n"}, "by mistake")
    (site.clone / ".env").unlink()
    site.git("pull", "-q", "--ff-only")
    write(site.clone / ".env", "SECRET_KEY=abcdefgh\n")
    new = site.release({".env": None}, "taken out")
    done = site.sync(new)
    assert done.returncode == 0, done.stderr
    assert (site.clone / ".env").read_text() == "SECRET_KEY=abcdefgh\n"
    assert_at(site, new)


def test_a_staged_protected_file_stays_on_disk_and_is_not_saved(site: Site) -> None:
    site.git("add", "-f", ".env")
    write(site.clone / "app.py", "local\n")
    new = site.release({"lib/tool.py": "two\n"})
    assert site.sync(new, discard=True).returncode == 0
    assert (site.clone / ".env").read_text() == "SECRET_KEY=abcdefgh\n"
    assert ".env" not in site.git("log", "--format=", "--name-only", HEAD_REF).splitlines()
    assert_at(site, new)


# As root in somebody else's clone


def give_away(site: Site) -> None:
    for folder in (site.clone, site.origin):
        subprocess.run(["chown", "-R", "nobody", str(folder)], check=True)


def test_root_syncs_saves_and_brings_back_as_the_owner_of_the_clone(foreign: Site) -> None:
    new = foreign.release({"app.py": "two\n"})
    write(foreign.clone / "app.py", "local\n")
    give_away(foreign)
    done = foreign.sync(new, discard=True)
    assert done.returncode == 0, done.stderr
    assert_at(foreign, new)
    foreign.bring_back(done.stdout)
    assert (foreign.clone / "app.py").read_text() == "local\n"
    nobody = pwd.getpwnam("nobody").pw_uid
    assert [str(file) for file in foreign.clone.rglob("*") if file.lstat().st_uid != nobody] == []


def test_a_killed_git_of_the_owner_leaves_no_index_lock(foreign: Site) -> None:
    new = foreign.release({"app.py": "two\n"})
    foreign.git("config", "filter.deadly.smudge", "kill -9 $PPID")
    write(foreign.clone / ".git/info/attributes", "app.py filter=deadly\n")
    give_away(foreign)
    assert foreign.sync(new).returncode == 137
    assert not (foreign.clone / ".git/index.lock").exists()


# Odd names

components = st.one_of(
    st.sampled_from(ODD_NAMES),
    st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=12),
).filter(lambda name: name not in (".", "..") and not name.lower().startswith(".git") and name not in PROTECTED)
names = st.lists(components, min_size=1, max_size=3).map("/".join)


@settings(max_examples=6, deadline=None, derandomize=True)
@given(changed=names, endangered=names, unknown=names, content=st.binary(max_size=200))
def test_odd_names_come_back_byte_for_byte_and_unknown_files_never_change(
    changed: str, endangered: str, unknown: str, content: bytes
) -> None:
    with tempfile.TemporaryDirectory(prefix="it's $(here) 中文 ") as root:
        site = make(Path(root))
        changed, endangered, unknown = f"c/{changed}", f"e/{endangered}", f"u/{unknown}"
        site.release({changed: "one\n"})
        site.git("pull", "-q", "--ff-only")
        new = site.release({changed: "two\n", endangered: "upstream\n"})
        for name in (changed, endangered, unknown):
            write(site.clone / name, "").write_bytes(content)
        done = site.sync(new, discard=True)
        assert done.returncode == 0, done.stderr
        assert (site.clone / endangered).read_text() == "upstream\n"
        assert (site.clone / unknown).read_bytes() == content
        site.bring_back(done.stdout)
        assert [(site.clone / name).read_bytes() for name in (changed, endangered, unknown)] == [content] * 3


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_odd_name_is_saved(site: Site, name: str) -> None:
    new = site.release({name: "upstream\n"})
    write(site.clone / name, "mine\n")
    done = site.sync(new, discard=True)
    assert done.returncode == 0, done.stderr
    site.bring_back(done.stdout)
    assert (site.clone / name).read_text() == "mine\n"


# Undo


def test_an_undone_sync_leaves_the_clone_where_it_was(site: Site) -> None:
    before = site.snapshot()
    new = site.release({"app.py": "two\n", "more.py": "more\n"})
    site.sync(new)
    done = site.undo(new)
    assert (done.returncode, done.stdout) == (0, f"the clone is at {site.ref('HEAD')[:7]} again\n")
    assert site.snapshot() == before


def test_an_undone_sync_detaches_a_head_again_that_was_detached(site: Site) -> None:
    site.git("checkout", "-q", "--detach")
    before = site.snapshot()
    new = site.release({"app.py": "two\n"})
    site.sync(new)
    assert site.undo(new).returncode == 0
    assert site.snapshot() == before
    assert subprocess.run(["git", "-C", site.clone, "symbolic-ref", "-q", "HEAD"], check=False).returncode == 1


def test_a_sync_that_did_nothing_has_nothing_to_undo(site: Site) -> None:
    before = site.snapshot()
    new = site.release({"app.py": "two\n"})
    assert site.undo(new).returncode == 0
    assert site.snapshot() == before


def test_what_somebody_did_in_the_clone_meanwhile_is_left_alone(site: Site) -> None:
    new = site.release({"app.py": "two\n"})
    site.sync(new)
    write(site.clone / "app.py", "of somebody\n")
    done = site.undo(new)
    assert done.returncode == 1
    assert done.stderr == "app.py was changed in the clone meanwhile: the clone is left as it is\n"
    assert (site.clone / "app.py").read_text() == "of somebody\n"


def test_a_sync_that_was_killed_halfway_is_undone_all_the_same(site: Site) -> None:
    before = site.snapshot()
    new = site.release({"app.py": "two\n"})
    site.sync(new)
    (site.root / "clone.after").unlink()
    write(site.clone / "app.py", "half\n")
    write(site.clone / ".git/index.lock", "")
    assert site.undo(new).returncode == 0
    assert site.snapshot() == before


def test_an_undo_takes_out_what_a_reset_wrote_that_never_came_to_its_index(site: Site) -> None:
    before = site.snapshot()
    new = site.release({"app.py": "two\n", "made/here/new file.py": "more\n"})
    site.sync(new)
    (site.root / "clone.after").unlink()
    site.git("reset", "-q", "--mixed", "HEAD~1")
    assert site.undo(new).returncode == 0
    assert site.snapshot() == before
    assert not (site.clone / "made").exists()
