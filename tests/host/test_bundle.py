"""What a host lacks is brought from the laptop's own clone: real git on both sides, over a real sshd or locally."""

import hashlib
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

import pytest

from deploy import bundle
from deploy.host import Host, connect
from deploy.host.local import LocalHost
from deploy.plan import Finding, Options
from deploy.preflight import judge
from deploy.settings import Git, Settings, Ssh, Target
from deploy.state import State, parse, read_script
from deploy.verbs.session import Session
from tests import sshd
from tests.build import SETTINGS
from tests.sshd import Sshd, needs_sshd
from tests.steps.site import Site, make, write
from tests.steps.test_reading_script import move, take_in
from tests.texts import as_text

pytestmark = needs_sshd


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sshd.new_key(tmp_path_factory.mktemp("key") / "id")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, key: Path) -> Iterator[Sshd]:
    running = sshd.start(tmp_path_factory.mktemp("sshd") / "sshd", key.with_suffix(".pub"))
    yield running
    running.stop()


@pytest.fixture(scope="module")
def forge() -> Iterator[socket.socket]:
    """A remote that the host must not ask: it answers nothing, and knows who came."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        listener.setblocking(False)
        yield listener


@pytest.fixture
def site(tmp_path: Path, forge: socket.socket) -> Iterator[Site]:
    made = make(tmp_path)
    ready(made, forge)
    yield made
    unasked(forge)


def ready(site: Site, forge: socket.socket) -> None:
    """Give the laptop a clone, and the host's a remote that it must not ask."""
    site.git("clone", "-q", str(site.origin), str(laptop(site)), folder=site.root)
    site.git("remote", "set-url", "origin", f"git://127.0.0.1:{forge.getsockname()[1]}/app.git")


def unasked(forge: socket.socket) -> None:
    with pytest.raises(BlockingIOError):
        forge.accept()


def laptop(site: Site) -> Path:
    return site.root / "laptop"


def settings_of(site: Site, clone: Path | None = None, **git: object) -> Settings:
    chosen = Git(via="laptop", clone=str(clone or laptop(site)), **git)  # type: ignore[arg-type]
    return replace(SETTINGS, target=replace(SETTINGS.target, path=str(site.clone), local=True), git=chosen)


class Counted:
    """A host, and how many scripts it was given."""

    def __init__(self, host: Host, cut: int = 0) -> None:
        self.label, self._host, self.count, self._cut = host.label, host, 0, cut
        self.http, self.close = host.http, host.close

    def stream(self, script: str, *, stdin: bytes = b"") -> AbstractContextManager[Iterator[str]]:
        self.count += 1
        return self._host.stream(script, stdin=stdin[: len(stdin) - self._cut])


def read(settings: Settings, host: Host | None = None, *, cut: int = 0) -> tuple[State, int]:
    """Read the state; and in how many questions."""
    counted = Counted(host or LocalHost(), cut)
    return Session(settings, lambda: counted).read("remote"), counted.count  # type: ignore[arg-type, return-value]


def told(settings: Settings, state: State, check: str = "remote") -> Finding:
    (found,) = (as_text(one) for one in judge(settings, state, Options()) if one.check == check)
    return found  # type: ignore[no-any-return]


def refused(site: Site, settings: Settings, *, cut: int = 0) -> Finding:
    """What is told where nothing comes, and nothing was changed by that."""
    before = everything(site)
    state, _ = read(settings, cut=cut)
    assert everything(site) == before
    found = told(settings, state)
    assert found.level == "refusal"
    return found


def everything(site: Site) -> tuple[str, ...]:
    objects = site.git("count-objects", "-v")
    return (*site.snapshot(), site.git("for-each-ref"), objects)


def sync(site: Site, revision: str) -> "subprocess.CompletedProcess[str]":
    script = site.script(revision, via="laptop")
    return subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script], cwd=site.root, env=site.environment, stdin=subprocess.DEVNULL,
        capture_output=True, encoding="utf-8",
    )  # fmt: skip


# What comes


@pytest.mark.parametrize("way", ["ssh", "local"])
def test_what_the_host_lacks_comes_and_nothing_else_changes_and_the_sync_goes_on_from_there(
    way: str, site: Site, server: Sshd, key: Path, tmp_path: Path
) -> None:
    known_hosts = write(tmp_path / "known_hosts", server.known_hosts_line)
    target = Target(name="t", host=server.address, local=way == "local")
    host = connect(target, Ssh(identity=str(key), known_hosts=str(known_hosts)), ask=None)
    settings, before = settings_of(site), site.snapshot()
    assert read(settings, host)[1] == 1
    site.release({"app.py": "two\n"})
    new = site.release({"lib/new.py": "new\n"}, "last")
    state, questions = read(settings, host)
    assert (state.repository.target, questions) == (new, 2)
    assert as_text(state.repository.incoming)[0] == f"{new[:7]} last"
    assert told(settings, state).evidence == f"origin/main at {new[:7]}, 2 new commits"
    assert site.snapshot() == before
    assert site.ref("refs/remotes/origin/main") == new
    assert read(settings, host)[1] == 1
    host.close()
    # Two commits, their trees and files, each of them once.
    objects = dict(line.split(": ") for line in site.git("count-objects", "-v").splitlines())
    assert (int(objects["count"]) + int(objects["in-pack"]), objects["prune-packable"]) == (5 + 7, "0")
    site.git("fsck", "--strict")
    done = sync(site, new)
    assert (done.returncode, site.ref("HEAD")) == (0, new), done.stderr


def test_a_branch_that_was_rewritten_is_taken_as_it_is_now(site: Site) -> None:
    settings = settings_of(site)
    gone = site.release({"app.py": "two\n"})
    read(settings)
    assert sync(site, gone).returncode == 0
    site.git("reset", "-q", "--hard", "HEAD~1", folder=site.author)
    write(site.author / "app.py", "other\n")
    site.git("commit", "-q", "-a", "-m", "other", folder=site.author)
    site.git("push", "-q", "-f", "origin", "HEAD:main", folder=site.author)
    new = site.git("rev-parse", "HEAD", folder=site.author)
    repository = read(settings)[0].repository
    assert (repository.target, repository.rewritten, repository.unpushed) == (new, (gone, new, 1), ())
    assert sync(site, new).returncode == 0


def test_a_commit_that_is_there_already_comes_no_second_time(site: Site) -> None:
    new = site.release({"app.py": "two\n"})
    site.git("fetch", "-q", str(site.origin), "main")
    site.git("branch", "other", "FETCH_HEAD")
    objects = site.git("count-objects", "-v")
    state, questions = read(settings_of(site))
    assert (state.repository.target, questions) == (new, 1)
    assert site.git("count-objects", "-v") == objects


def test_a_clone_that_never_fetched_and_has_a_commit_of_its_own_gets_what_it_lacks(site: Site) -> None:
    site.git("update-ref", "-d", "refs/remotes/origin/main")
    site.git("update-ref", "-d", "refs/remotes/origin/HEAD")
    site.git("commit", "-q", "--allow-empty", "-m", "made on the host")
    new = site.release({"app.py": "two\n"})
    repository = read(settings_of(site))[0].repository
    assert repository.target == new
    assert [text.partition(" ")[2] for text in as_text(repository.unpushed)] == ["made on the host"]


def test_a_clone_with_no_commit_at_all_gets_everything(site: Site) -> None:
    url = site.git("config", "remote.origin.url")
    shutil.rmtree(site.clone)
    site.git("init", "-q", "-b", "main", str(site.clone), folder=site.root)
    site.git("remote", "add", "origin", url)
    state, _ = read(settings_of(site))
    assert state.repository.target == site.git("rev-parse", "HEAD", folder=site.author)


def test_the_clones_owner_takes_it_and_nothing_there_is_roots(forge: socket.socket) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can work as the clone's owner")
    root = Path(tempfile.mkdtemp())
    root.chmod(0o755)
    site = make(root)
    ready(site, forge)
    subprocess.run(["chown", "-R", "nobody", str(site.clone)], check=True)
    new = site.release({"app.py": "two\n"})
    assert read(settings_of(site))[0].repository.target == new
    found = subprocess.run(
        ["find", str(site.clone), "!", "-user", "nobody"], capture_output=True, text=True, check=True
    )
    assert found.stdout == ""
    unasked(forge)
    shutil.rmtree(root)


def test_several_hosts_at_once_are_served_by_few_fetches(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Settings] = []
    fetch = bundle._offer

    def noted(settings: Settings) -> bundle.Offer:
        made.append(settings)
        # Long enough for all the others to ask.
        time.sleep(0.5)
        return fetch(settings)

    monkeypatch.setattr(bundle, "_offer", noted)
    new = site.release({"app.py": "two\n"})
    with ThreadPoolExecutor(8) as hosts:
        offers = list(hosts.map(bundle.fetched, [settings_of(site)] * 8))
    assert ([offer.tip for offer in offers], len(made) <= 3) == ([new] * 8, True)


# Histories that are cut short


def merged(site: Site) -> str:
    """Release a merge of what began before the clones' own history does, where that is short."""
    site.release({"app.py": "one more\n"})
    site.git("checkout", "-q", "-b", "side", "HEAD~1", folder=site.author)
    write(site.author / "side.py", "side\n")
    site.git("add", "side.py", folder=site.author)
    site.git("commit", "-q", "-m", "side", folder=site.author)
    site.git("checkout", "-q", "main", folder=site.author)
    site.git("merge", "-q", "--no-edit", "side", folder=site.author)
    return site.release({"app.py": "three\n"})


def shallow(site: Site, folder: Path) -> None:
    url = site.git("config", "remote.origin.url", folder=folder)
    shutil.rmtree(folder)
    site.git("clone", "-q", "--depth", "1", f"file://{site.origin}", str(folder), folder=site.root)
    site.git("remote", "set-url", "origin", url, folder=folder)


def test_a_shallow_clone_on_the_host_gets_what_it_lacks_though_that_is_older(site: Site) -> None:
    site.release({"app.py": "one and a half\n"})
    shallow(site, site.clone)
    new = merged(site)
    assert read(settings_of(site))[0].repository.target == new
    site.git("fsck", "--connectivity-only")
    assert sync(site, new).returncode == 0


def test_a_shallow_clone_on_the_laptop_gives_what_it_has_and_says_how_it_gets_the_rest(site: Site) -> None:
    shallow(site, laptop(site))
    site.git("remote", "set-url", "origin", f"file://{site.origin}", folder=laptop(site))
    new = site.release({"app.py": "two\n"})
    assert read(settings_of(site))[0].repository.target == new
    site.release({"app.py": "three\n"})
    last = site.release({"app.py": "four\n"})
    shallow(site, laptop(site))
    found = refused(site, settings_of(site))
    assert f"{laptop(site)} has no commit in common with the clone on the host" in str(found.evidence)
    # Two ends of a history whose middle is missing.
    site.git("fetch", "-q", "--depth", "1", "origin", new, folder=laptop(site))
    before = site.snapshot()
    state, _ = read(settings_of(site))
    assert (site.snapshot(), site.ref("refs/remotes/origin/main")) == (before, new)
    found = told(settings_of(site), state)
    assert "did not send all necessary objects" in str(found.evidence)
    command = str(found.remedy).partition(": ")[2].removesuffix(" here")
    assert "--unshallow" in command
    subprocess.run(["bash", "-c", command], check=True, capture_output=True)
    assert read(settings_of(site))[0].repository.target == last


# What is refused


def nowhere(site: Site) -> None:
    shutil.rmtree(laptop(site))


def no_clone(site: Site) -> None:
    shutil.rmtree(laptop(site))
    laptop(site).mkdir()


def gone(site: Site) -> None:
    site.git("remote", "set-url", "origin", f"{site.root}/gone.git", folder=laptop(site))


def silent(site: Site) -> None:
    # Nobody takes the connection: it is open, and nothing is ever said.
    url = site.git("config", "remote.origin.url").replace("git:", "http:")
    site.git("remote", "set-url", "origin", url, folder=laptop(site))


@pytest.mark.parametrize(
    ("damage", "why"),
    [
        (nowhere, "No such file or directory"),
        (no_clone, "not a git repository"),
        (gone, "gone.git' does not appear to be a git repository"),
    ],
)
def test_a_clone_on_the_laptop_that_cannot_be_fetched_is_told_and_what_to_look_at(
    site: Site, damage: Callable[[Site], None], why: str
) -> None:
    site.release({"app.py": "two\n"})
    damage(site)
    found = refused(site, settings_of(site))
    assert str(found.evidence).startswith(f"nothing came from the laptop: git fetch failed in {laptop(site)}: ")
    assert why in str(found.evidence)
    assert str(found.remedy).startswith(f"see git -C {laptop(site)} fetch origin here")


def test_a_branch_that_the_laptops_remote_lacks_is_told(site: Site) -> None:
    found = refused(site, settings_of(site, branch="nope"))
    assert "couldn't find remote ref refs/heads/nope" in str(found.evidence)


def test_a_remote_that_does_not_answer_the_laptop_is_given_up_in_time(site: Site, forge: socket.socket) -> None:
    silent(site)
    found = refused(site, settings_of(site, fetch_timeout=1))
    assert str(found.evidence).endswith(": no answer within 1 s")
    # It was the laptop that came.
    forge.accept()[0].close()


def test_a_password_in_the_laptops_remote_is_not_shown(site: Site) -> None:
    url = "http://somebody:hunter2secret@127.0.0.1:1/app.git"
    site.git("remote", "set-url", "origin", url, folder=laptop(site))
    assert "hunter2" not in str(refused(site, settings_of(site)).evidence)


def test_a_clone_of_another_repository_gives_nothing(site: Site) -> None:
    library = site.root / "library"
    site.git("init", "-q", "-b", "main", str(library), folder=site.root)
    move(site, "one\n")
    site.git("remote", "add", "origin", ".", folder=library)
    found = refused(site, settings_of(site, library))
    assert str(found.evidence).endswith(f"{library} has no commit in common with the clone on the host")
    assert found.remedy == "set git.clone in invoke.yaml to a clone of the host's repository"


@pytest.mark.parametrize("cut", [1, 100])
def test_a_bundle_that_was_cut_off_changes_nothing(site: Site, cut: int) -> None:
    new = site.release({"app.py": "two\n"})
    found = refused(site, settings_of(site), cut=cut)
    assert found.evidence == "nothing came from the laptop: the bundle was cut off on its way"
    assert found.remedy == "run the verb again"
    assert read(settings_of(site))[0].repository.target == new


def test_what_is_no_bundle_of_this_repository_changes_nothing(site: Site) -> None:
    site.release({"app.py": "two\n"})
    tip = site.git("rev-parse", "HEAD", folder=site.author)
    settings = settings_of(site)
    before = (*site.snapshot(), site.git("for-each-ref"))
    site.git("bundle", "create", "../older", "refs/remotes/origin/main", folder=laptop(site))
    for content, why in (
        (b"no bundle\n", "does not look like a v2 or v3 bundle file"),
        (b"# v2 git bundle\n-" + b"1" * 40 + b" x\n" + tip.encode() + b" refs/heads/main\n\n", "1" * 40),
        (b"# v2 git bundle\n" + tip.encode() + b" refs/heads/main\n\nPACK", "index-pack"),
        ((site.root / "older").read_bytes(), "did not send all necessary objects"),
    ):
        digest = hashlib.sha256(content).hexdigest()
        script = read_script(settings, target="remote", offered=tip, bundle_sum=digest)
        repository = parse(LocalHost().run(script, stdin=content).stdout).repository
        assert why in str(as_text(repository.fetch_problem)), repository.fetch_problem
        assert (*site.snapshot(), site.git("for-each-ref")) == before


def test_without_the_remote_on_the_host_there_is_no_place_for_it(site: Site) -> None:
    site.git("remote", "remove", "origin")
    site.release({"app.py": "two\n"})
    assert refused(site, settings_of(site)).evidence == "no remote origin; there is none"


def test_a_partial_clone_asks_nobody_for_what_it_lacks(site: Site) -> None:
    site.git("config", "remote.origin.promisor", "true")
    site.git("config", "remote.origin.partialclonefilter", "blob:none")
    site.git("config", "extensions.partialClone", "origin")
    site.git("config", "core.repositoryFormatVersion", "1")
    new = site.release({"app.py": "two\n"})
    state, _ = read(settings_of(site))
    assert (state.repository.target, state.unread) == (new, {})
    blob = site.git("rev-parse", f"{new}:lib/tool.py")
    (site.clone / ".git/objects" / blob[:2] / blob[2:]).unlink()
    state, _ = read(settings_of(site))
    assert "the clone is partial and lacks 1 files" in str(as_text(state.unread["repository"]))


def test_a_submodule_that_the_host_lacks_is_told_with_the_command_that_brings_it(site: Site) -> None:
    library = site.root / "library"
    site.git("init", "-q", "-b", "main", str(library), folder=site.root)
    move(site, "one\n")
    take_in(site)
    settings = settings_of(site)
    found = told(settings, read(settings)[0], "submodules")
    commit = site.git("rev-parse", "HEAD", folder=library)
    lacks = f"the clone does not have {commit[:7]} of the submodule lib/shared"
    assert found.evidence == f"{lacks}; git.via: laptop brings none of a submodule's commits"
    command = str(found.remedy).partition(": ")[2]
    subprocess.run(["bash", "-c", command], cwd=site.author, env=site.environment, check=True, capture_output=True)
    state, _ = read(settings)
    assert state.repository.submodules == ()
