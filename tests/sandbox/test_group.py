"""Three hosts that are one target: on one release together or not at all."""

import json
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from deploy import shell
from deploy.errors import Exit
from deploy.sandbox import compose, sshd, stack
from deploy.sandbox.git import git
from deploy.sandbox.home import Sandbox
from tests.faults import production
from tests.faults.faults import cut, reboot
from tests.sandbox.conftest import Ended, run_inv
from tests.sandbox.facts import facts, holder
from tests.sandbox.test_runs import Running, is_free, wait_until_free
from tests.test_events import document

pytestmark = pytest.mark.stack

Hosts = tuple[Sandbox, ...]
HASTY = "health: {timeout: 5}\nconfirm: {timeout: 8}\n"
# The app is ill where this is.
SILENCE = "/app/userdata/silence"


@pytest.fixture
def hasty(tmp_path: Path) -> str:
    """A settings file with which hosts wait but a moment for the confirmation, and for health."""
    file = tmp_path / "hasty.yaml"
    file.write_text(HASTY, encoding="utf-8")
    return str(file)


@pytest.fixture(scope="module")
def on_one_release(shared_hosts: Hosts) -> Hosts:
    """Bring all hosts to a first release, as one."""
    ended = run_inv(shared_hosts[0].group, "hot-update", "--yes")
    assert ended.code == Exit.DONE, ended.text
    return shared_hosts


@pytest.fixture
def group(on_one_release: Hosts, hosts: Hosts) -> Iterator[Callable[..., Ended]]:
    """Run a verb on the group."""
    yield lambda *words: run_inv(hosts[0].group, *words)
    for one in hosts:
        wait_until_free(one)


def running(hosts: Hosts) -> list[str]:
    """What each container says that it runs."""
    return [json.loads(facts(one).record)["revision"] for one in hosts]


def dumps(sandbox: Sandbox) -> int:
    return len(list((sandbox.path / ".git/hot-update/backups").glob("*.about")))


def journal(sandbox: Sandbox) -> list[tuple[str, ...]]:
    """The newest run's journal."""
    (*_, newest) = sorted((sandbox.path / ".git/hot-update/runs").glob("*/journal"))
    return [tuple(fields[1:]) for fields in shell.records(newest.read_text(encoding="utf-8"))]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def seen(sandbox: Sandbox) -> dict[str, object]:
    """What an update changes, and an undo brings back byte for byte, looked at without the verbs' help."""
    return {
        "clone": git(sandbox.path, "rev-parse", "HEAD"),
        "work tree": git(sandbox.path, "status", "--porcelain"),
        "files": production.in_app(sandbox, sandbox.app),
        "database": production.database(sandbox),
        "left processes": [mark for mark in production.marks(sandbox) if mark],
        "held": (holder(sandbox), is_free(sandbox)),
    }


def test_all_get_a_release_that_migrates_and_no_request_fails_on_any(group: Callable[..., Ended], hosts: Hosts) -> None:
    new = stack.release(hosts[0].group, "migration")
    kept = list(map(dumps, hosts))
    ended = group("hot-update", "--yes", "--probe")
    assert ended.code == Exit.DONE, ended.text
    assert running(hosts) == [new] * 3
    now = list(map(seen, hosts))
    assert {one["clone"] for one in now} == {new}
    assert now == [now[0]] * 3
    assert now[0]["left processes"] == []
    probes = re.findall(r"^(\S+) +probe: (\d+) of (\d+) requests failed", ended.out, re.MULTILINE)
    assert sorted((name, failed) for name, failed, _ in probes) == [(one.name, "0") for one in hosts]
    assert min(int(asked) for _, _, asked in probes) > 20
    # The database is one, and so it is dumped and migrated once.
    assert [now - was for now, was in zip(map(dumps, hosts), kept, strict=True)] == [1, 0, 0]
    assert [("begin", "migrate") in journal(one) for one in hosts] == [True, False, False]
    told = group("history").out.splitlines()[0]
    assert f"done on {', '.join(one.name for one in hosts)}  run " in told
    again = group("hot-update", "--yes")
    assert (again.code, again.out.count("nothing to do")) == (Exit.DONE, 1)


def test_where_one_is_ill_all_stay_on_the_old_release_byte_for_byte(
    group: Callable[..., Ended], hosts: Hosts, hasty: str
) -> None:
    stack.release(hosts[0].group, "unhealthy-here")
    compose.in_app(hosts[1], "touch", SILENCE)
    try:
        before = list(map(seen, hosts))
        ended = group("-f", hasty, "hot-update", "--yes")
    finally:
        compose.in_app(hosts[1], "rm", "-f", SILENCE)
    assert ended.code == Exit.UNDONE, ended.text
    assert list(map(seen, hosts)) == before
    blocks = [line for line in ended.err.splitlines() if line.startswith("✗")]
    assert blocks[0].startswith(f"✗ {hosts[1].name}: health: direct: ")
    others = (hosts[0].name, hosts[2].name)
    assert [line.partition(" · ")[0] for line in blocks[1:3]] == [
        f"✗ {name}: undone because {hosts[1].name} failed" for name in others
    ]
    assert blocks[3:] == [f"✗ hot-update of {hosts[0].group}: {hosts[1].name} failed, and it is done on no host"]


def test_a_lock_that_is_taken_on_one_has_nothing_be_done_on_any(group: Callable[..., Ended], hosts: Hosts) -> None:
    stack.release(hosts[0].group, "code")
    before = list(map(facts, hosts))
    lock = hosts[1].path / ".git/hot-update/lock"
    with subprocess.Popen(["flock", lock, "sh", "-c", "echo taken; cat"], stdin=-1, stdout=-1) as other:
        assert other.stdout
        other.stdout.readline()
        ended = group("hot-update", "--yes")
        other.communicate()
    assert ended.code == Exit.LOCKED, ended.text
    told = ended.err.splitlines()
    assert told[0] == f"✗ another run holds the lock on {hosts[1].name}, nothing was done anywhere"
    assert told[1:] == [
        f"  {hosts[1].name}: the holder is not known yet",
        f"→ inv attach --target {hosts[1].name} follows it",
    ]
    assert list(map(facts, hosts)) == before


@pytest.mark.deep
def test_of_two_laptops_at_once_one_updates_all_and_the_other_none(group: Callable[..., Ended], hosts: Hosts) -> None:
    new, two = stack.release(hosts[0].group, "code"), hosts[:2]
    both = [Running(hosts[0].group, "", "--only", ",".join(one.name for one in two)) for _ in range(2)]
    codes = sorted(one.ended().code for one in both)
    assert codes == [Exit.DONE, Exit.LOCKED], [one.said for one in both]
    assert running(two) == [new] * 2
    assert [holder(one) for one in two] == [""] * 2


@pytest.mark.does("skip_unreachable", "make_equal")
def test_a_host_that_cannot_be_reached_has_nothing_be_done_unless_it_is_left_out(
    group: Callable[..., Ended], hosts: Hosts
) -> None:
    new = stack.release(hosts[0].group, "code")
    old = running(hosts)
    sshd.stop(hosts[2])
    try:
        refused = group("hot-update", "--yes")
        assert (refused.code, running(hosts)) == (Exit.REFUSED, old), refused.text
        remedy = f"inv hot-update --skip-unreachable --target {hosts[0].group}"
        assert f"→ {remedy}" in refused.err
        skipped = group(*remedy.split()[1:3], "--yes")
        assert skipped.code == Exit.DONE, skipped.text
        assert skipped.out.splitlines()[-1].startswith(f"! {hosts[2].name} was left out and is behind: ")
        assert running(hosts) == [new, new, old[2]]
    finally:
        sshd.start(hosts[2])
    # The one that differs comes first, and one command makes them equal.
    rows = group("status").out.splitlines()
    assert rows[1].split()[:2] == [hosts[2].name, old[2][:7]]
    assert rows[-1] == (
        f"! the hosts run different releases → inv hot-update --target {hosts[0].group}, or inv rollback "
        f"--target {hosts[0].group}, makes them equal"
    )
    equal = group("rollback", "--yes")
    assert (equal.code, running(hosts)) == (Exit.DONE, [old[2]] * 3), equal.text


def test_without_the_laptop_each_host_proves_its_release_by_itself_and_it_is_told_who_decided(
    group: Callable[..., Ended], hosts: Hosts, hasty: str
) -> None:
    new = stack.release(hosts[0].group, "code")
    update = Running(hosts[0].group, hasty)

    def waiting() -> int:
        found = [one for one in hosts if any(event[0] == "confirming" for event in journal(one)) and not is_free(one)]
        return len(found)

    until(lambda: waiting() >= 2)
    update.process.kill()
    update.process.communicate()
    attached = group("attach")
    assert (attached.code, running(hosts)) == (Exit.DONE, [new] * 3), attached.text
    assert [row.split(None, 3)[3] for row in attached.out.splitlines()[-3:]] == ["done by the host"] * 3


@pytest.mark.deep
def test_a_connection_that_is_cut_is_opened_again(group: Callable[..., Ended], hosts: Hosts) -> None:
    new, two = stack.release(hosts[0].group, "code"), hosts[:2]
    update = Running(hosts[0].group, "", "--only", ",".join(one.name for one in two))
    update.until(f"{hosts[0].name}  ▸ copy")
    cut(hosts[1])
    ended = update.ended()
    assert (ended.code, running(two)) == (Exit.DONE, [new] * 2), ended.text
    assert re.search(rf"^{hosts[1].name}  the connection to .* was lost.*; connecting again$", ended.out, re.MULTILINE)


def test_ctrl_c_has_all_undone(group: Callable[..., Ended], hosts: Hosts) -> None:
    stack.release(hosts[0].group, "code")
    two = hosts[:2]
    before = list(map(seen, two))
    update = Running(hosts[0].group, "", "--only", ",".join(one.name for one in two))
    update.until(f"{hosts[0].name}  ▸ restart")
    update.process.send_signal(signal.SIGINT)
    ended = update.ended()
    assert ended.code == Exit.INTERRUPTED, ended.text
    assert "interrupted: undone on every host after the running step" in ended.out
    assert list(map(seen, two)) == before


def test_batch_by_batch_the_first_that_fails_is_undone_and_ends_it(
    group: Callable[..., Ended], hosts: Hosts, tmp_path: Path
) -> None:
    names = [one.name for one in hosts]
    settings = tmp_path / "each.yaml"
    canary = f"canary: {{target: {names[1]}, watch: 2}}"
    out = f"drain: {{before: 'echo \"$TARGET out\" >>{tmp_path}/drained', after: 'echo in >>{tmp_path}/drained'}}\n"
    settings.write_text(
        f"{HASTY}{out}groups: {{{hosts[0].group}: {{targets: {json.dumps(names)}, commit: each, {canary}}}}}\n"
    )
    new = stack.release(hosts[0].group, "unhealthy-here")
    old = running(hosts)
    compose.in_app(hosts[0], "touch", SILENCE)
    try:
        ended = group("-f", str(settings), "hot-update", "--yes")
    finally:
        compose.in_app(hosts[0], "rm", "-f", SILENCE)
    assert ended.code == Exit.UNDONE, ended.text
    assert re.search(rf"^{names[1]}  watched for 2 s: healthy", ended.out, re.MULTILINE)
    assert running(hosts) == [old[0], new, old[2]]
    assert f"{names[0]} failed; done on {names[1]} alone" in ended.err
    # The canary's, then those of the one that failed: out, in, and for its undo the other way round.
    told = (tmp_path / "drained").read_text().split("\n")[:-1]
    assert told == [f"{names[1]} out", "in", f"{names[0]} out", "in", f"{names[0]} out", "in"]
    equal = group("hot-update", "--yes")
    assert (equal.code, running(hosts)) == (Exit.DONE, [new] * 3), equal.text


def test_what_only_looks_tells_every_host_in_one_table(group: Callable[..., Ended], hosts: Hosts) -> None:
    names = [one.name for one in hosts]
    for words in (("status",), ("health",), ("preflight",), ("migrate", "--current")):
        ended = group(*words)
        assert ended.code == Exit.DONE, ended.text
        assert [row.split()[0] for row in ended.out.splitlines()[1:4]] == names
    for words in (("status", "--json"), ("health", "--json"), ("history", "--json")):
        assert [one["target"] for one in document(group(*words).out)] == names
    only = group("health", "--only", names[1])
    assert [row.split()[0] for row in only.out.splitlines()[1:]] == [names[1]]


@pytest.mark.deep
def test_a_verb_alone_is_carried_out_on_all_and_a_restart_on_one_after_the_other(
    group: Callable[..., Ended], hosts: Hosts
) -> None:
    new = stack.release(hosts[0].group, "code")
    synced = group("sync")
    assert (synced.code, [git(one.path, "rev-parse", "HEAD") for one in hosts]) == (Exit.DONE, [new] * 3), synced.text
    restarted = group("restart")
    assert restarted.code == Exit.DONE, restarted.text
    ends = [line.split()[0] for line in restarted.out.splitlines() if re.search(r" [▸✓] restart", line)]
    assert ends == [name for one in hosts for name in (one.name, one.name)]


@pytest.mark.deep
def test_another_laptop_confirms_what_all_have_proven(group: Callable[..., Ended], hosts: Hosts) -> None:
    new, two = stack.release(hosts[0].group, "code"), hosts[:2]
    only = ("--only", ",".join(one.name for one in two))
    update = Running(hosts[0].group, "", *only)
    until(
        lambda: all(not is_free(one) and any(event[:2] == ("begin", "copy") for event in journal(one)) for one in two)
    )
    update.process.kill()
    update.process.communicate()
    attached = group("attach", "--confirm", *only)
    assert (attached.code, running(two)) == (Exit.DONE, [new] * 2), attached.text
    assert len(re.findall(r"^\S+ +✓ confirmed by ", attached.out, re.MULTILINE)) == 2


def test_what_is_refused_on_one_host_is_refused_for_all(group: Callable[..., Ended], hosts: Hosts) -> None:
    stack.release(hosts[0].group, "code")
    old = running(hosts)
    stack.break_(hosts[2].name, "disk-full")
    ended = group("hot-update", "--yes")
    assert (ended.code, running(hosts)) == (Exit.REFUSED, old), ended.text
    assert f"nothing was done anywhere: {hosts[2].name} refused" in ended.err


@pytest.mark.deep
def test_a_host_that_is_rebooted_meanwhile_has_all_be_undone(group: Callable[..., Ended], hosts: Hosts) -> None:
    stack.release(hosts[0].group, "code")
    before = list(map(seen, hosts))
    update = Running(hosts[0].group, "")
    update.until(f"{hosts[1].name}  ▸ restart")
    reboot(hosts[1], [hosts[1].app, hosts[1].redis])
    ended = update.ended()
    assert ended.code == Exit.UNDONE, ended.text
    assert list(map(seen, hosts)) == before
