"""The harness with real processes, real locks and a real git clone."""

import os
import re
import shlex
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from deploy import runs, shell
from deploy.message import Message, pack, say, unpack
from deploy.runs import Event
from deploy.wording import text
from tests.scripts.runner import (
    SECRET,
    Clone,
    Step,
    ThisMachine,
    make_clone,
    told,
    until,
    waiting_for,
)


def test_a_run_journals_its_steps_in_order(clone: Clone) -> None:
    events = clone.start("r1", Step("sync", "echo fetched"), Step("copy", "echo copied >&2"))
    assert told(events) == [
        ("run", "r1", "hot-update", "ada@laptop", ""),
        ("locked",),
        ("begin", "sync"),
        ("line", "sync", "fetched"),
        ("end", "sync", "0"),
        ("begin", "copy"),
        ("line", "copy", "copied"),
        ("end", "copy", "0"),
        ("done", "done"),
    ]


def test_a_run_leaves_neither_lock_nor_holder(clone: Clone) -> None:
    clone.start("r1", Step("sync", "true"))
    assert not clone.locked()
    assert not (clone.state / "holder").exists()


def test_the_folder_is_closed_to_others(clone: Clone) -> None:
    clone.start("r1")
    assert clone.state.stat().st_mode & 0o777 == 0o700
    assert clone.folder("r1").stat().st_mode & 0o777 == 0o700


def test_a_failing_step_stops_the_run(clone: Clone) -> None:
    events = clone.start("r1", Step("sync", "echo oh; false; echo on"), Step("copy", "true"))
    assert told(events)[2:] == [
        ("begin", "sync"),
        ("line", "sync", "oh"),
        ("end", "sync", "1"),
        ("done", "failed", "sync", "1"),
    ]


def test_a_failure_inside_a_pipeline_or_function_stops_the_step(clone: Clone) -> None:
    events = clone.start("r1", Step("migrate", "dump() { false | cat; echo went on; }\ndump"))
    assert told(events)[3:] == [("end", "migrate", "1"), ("done", "failed", "migrate", "1")]


def test_output_comes_while_the_step_runs(clone: Clone, tmp_path: Path) -> None:
    go = tmp_path / "go"
    step = Step("sync", "echo waiting\n" + waiting_for(go))
    with runs.start(ThisMachine(), clone.variables, "r1", clone.files(step)) as events:
        assert ("line", "sync", "waiting") in [(event.kind, *event.fields) for event in take_until_line(events)]
        go.touch()
        assert told(list(events))[-1] == ("done", "done")


def take_until_line(events: Iterator[Event]) -> Iterator[Event]:
    for event in events:
        yield event
        if event.kind == "line":
            return


def test_output_is_redacted(clone: Clone) -> None:
    events = clone.start("r1", Step("sync", f"echo {shlex.quote(SECRET)}; echo x{shlex.quote(SECRET)}y >&2"))
    assert told(events)[3:5] == [("line", "sync", "[DB_PASSWORD]"), ("line", "sync", "x[DB_PASSWORD]y")]


def test_nothing_in_the_run_holds_the_secret(clone: Clone) -> None:
    clone.start("r1", Step("sync", f"echo {shlex.quote(SECRET)}"))
    written = [path for path in clone.folder("r1").rglob("*") if path.is_file() and path.suffix != ".sh"]
    assert not [path for path in written if SECRET.encode() in path.read_bytes()]


def test_any_output_survives_the_journal(clone: Clone) -> None:
    text = "a\tb\\n 'q' \"d\" $x 中文 \r é"
    events = clone.start("r1", Step("sync", f"printf '%s\\n' {shlex.quote(text)}"))
    assert ("line", "sync", text) in told(events)


def test_a_last_line_without_newline_is_kept(clone: Clone) -> None:
    assert ("line", "sync", "cut") in told(clone.start("r1", Step("sync", "printf cut")))


def test_what_a_step_says_is_journaled_as_a_message_and_what_a_program_prints_as_a_line(clone: Clone) -> None:
    steps = Step("sync", shell.script() + "say '%s: %s' a \"$(say 'at %s' $'b\\tc')\"; echo a: b")
    message = pack(say("%s: %s", "a", say("at %s", "b\tc")))
    events = [(event.kind, *event.fields) for event in clone.start("r1", steps)]
    assert [event for event in events if event[0] in ("message", "line")] == [
        ("message", "sync", message),
        ("line", "sync", "a: b"),
    ]


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("before", range(3960, 4002, 3))
def test_a_very_long_message_is_cut_in_its_values(clone: Clone, before: int, nested: bool) -> None:
    long = say("%s%s", "x" * before, say("cut %s", "\\y")) if nested else "x" * before + "\\" * 50
    step = Step("sync", f"printf '%s\\n' {shlex.quote(pack(say('%s: %s (%s)', 'a', long, 'z')))}")
    found = next(unpack(event.fields[1]) for event in clone.start("r1", step) if event.kind == "message")
    assert isinstance(found, Message)
    assert (found.format, found.values[0], found.values[2]) == ("%s: %s (%s)", "a", "z")
    shown = text(found).removesuffix(" (z)")
    assert re.fullmatch(r"a: x+(cut )?\\*y?…?", shown)
    assert len(shown) < 4010


def test_a_very_long_line_is_cut_between_characters(clone: Clone) -> None:
    events = clone.start("r1", Step("sync", "printf x; printf '中%.0s' {1..5000}"))
    line = next(event.fields[1] for event in events if event.kind == "line")
    assert line == "x" + "中" * ((len(line.encode()) - 4) // 3) + "…"
    assert 3990 < len(line.encode()) < 4010


def test_a_step_reads_nothing_from_stdin(clone: Clone) -> None:
    assert told(clone.start("r1", Step("sync", "cat; read -r x || echo empty")))[3] == ("line", "sync", "empty")


def test_a_step_that_takes_too_long_is_ended_and_told_apart(clone: Clone) -> None:
    events = clone.start("r1", Step("sync", "sleep 30", timeout=1))
    assert told(events)[3:] == [
        ("end", "sync", "124", "timed out after 1 s"),
        ("done", "failed", "sync", "124", "timed out after 1 s"),
    ]


def test_a_step_that_ends_with_124_by_itself_did_not_time_out(clone: Clone) -> None:
    assert told(clone.start("r1", Step("sync", "exit 124")))[3] == ("end", "sync", "124")


def test_what_a_step_leaves_in_the_background_ends_with_it(clone: Clone, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    events = clone.start("r1", Step("sync", f"sleep 60 & echo $! >{shlex.quote(str(mark))}"))
    assert told(events)[-1] == ("done", "done")
    until(lambda: not Path(f"/proc/{mark.read_text().strip()}").exists())


def test_a_daemon_that_a_step_leaves_does_not_keep_the_lock(clone: Clone, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    daemon = f"setsid sleep 60 </dev/null >/dev/null 2>&1 & echo $! >{shlex.quote(str(mark))}; sleep 0.1"
    clone.start("r1", Step("sync", daemon))
    try:
        assert not clone.locked()
    finally:
        os.kill(int(mark.read_text()), signal.SIGKILL)


def test_a_step_sees_nothing_of_the_follower(clone: Clone) -> None:
    events = clone.start("r1", Step("sync", "for fd in /proc/$$/fd/*; do echo ${fd##*/}; done"))
    numbers = {event.fields[1] for event in events if event.kind == "line"}
    assert {"0", "1", "2", "9"} <= numbers
    assert "8" not in numbers


def test_steps_keep_the_umask_of_the_session(clone: Clone) -> None:
    expected = subprocess.run(["bash", "-c", "umask"], capture_output=True, text=True, check=True).stdout.strip()
    assert ("line", "sync", expected) in told(clone.start("r1", Step("sync", "umask")))


def test_of_two_runs_at_the_same_instant_one_runs_and_one_is_refused(clone: Clone, tmp_path: Path) -> None:
    go = tmp_path / "go"
    results: dict[str, list[tuple[str, ...]]] = {}

    def start(run: str) -> None:
        results[run] = told(clone.start(run, Step("sync", waiting_for(go))))

    threads = [threading.Thread(target=start, args=(run,)) for run in ("r1", "r2")]
    for thread in threads:
        thread.start()
    until(lambda: bool(results))
    (loser,) = results
    winner = "r2" if loser == "r1" else "r1"
    holder = clone.holder()
    assert holder["run"] == winner
    assert clone.locked()
    refused = ("refused", winner, "hot-update", "ada@laptop", holder["pid"], holder["start"])
    assert results[loser] == [("run", loser, "hot-update", "ada@laptop", ""), refused, ("done", "locked")]
    go.touch()
    for thread in threads:
        thread.join()
    assert results[winner][-1] == ("done", "done")
    assert not clone.locked()


def test_whoever_sees_a_run_done_can_start_the_next_at_once(clone: Clone) -> None:
    outcomes = [told(clone.start(f"r{number}", Step("sync", "true")))[-1] for number in range(8)]
    assert outcomes == [("done", "done")] * 8


def test_a_run_id_is_never_used_twice(clone: Clone) -> None:
    clone.start("r1", Step("sync", "echo first"))
    assert clone.start("r1", Step("sync", "echo second")) == []
    assert ("line", "sync", "second") not in clone.journal("r1")


def test_the_lock_outlives_a_killed_harness_until_its_step_has_ended(clone: Clone, tmp_path: Path) -> None:
    go = tmp_path / "go"
    clone.start_and_leave("r1", Step("sync", waiting_for(go)), seen=("begin", "sync"))
    holder = clone.holder()
    clone.kill_harness()
    assert told(clone.follow("r1"))[-1][0] == "gone"
    assert told(clone.start("r2"))[-1] == ("done", "locked")
    assert clone.holder() == holder
    go.touch()
    until(lambda: not clone.locked())
    events = clone.start("r3", Step("sync", "true"))
    assert told(events)[2] == ("took-over", "r1", "ada@laptop", holder["start"], "its lock is free")
    assert told(events)[-1] == ("done", "done")
    assert ("resumed", "r1", "failed") in told(events)
    assert clone.journal("r1")[-1] == ("done", "failed", "sync", "137", "its harness died")


def test_a_holder_from_before_a_reboot_is_taken_over(clone: Clone) -> None:
    clone.start("r1", Step("sync", "false"))
    (clone.state / "holder").write_text("run\tr1\noperator\tbob@desk\npid\t1\nboot\tanother\nstart\t17\n")
    events = clone.start("r2", Step("sync", "true"))
    assert told(events)[2] == ("took-over", "r1", "bob@desk", "17", "the host has booted since")
    assert clone.journal("r1")[-1] == ("done", "failed", "sync", "1")


def test_an_abandoned_journal_that_ends_within_a_line_gets_its_end(clone: Clone) -> None:
    clone.folder("r1").mkdir(parents=True)
    (clone.folder("r1") / "journal").write_text("1.000\trun\tr1\thot-update\tada\n1.100\tline\tsync\tcu")
    (clone.state / "holder").write_text("run\tr1\nboot\tanother\n")
    clone.start("r2")
    assert clone.journal("r1")[-2:] == [("line", "sync", "cu"), ("done", "abandoned")]


def test_a_killed_laptop_does_not_stop_the_run(clone: Clone, tmp_path: Path) -> None:
    go = tmp_path / "go"
    step = Step("sync", "echo one\n" + waiting_for(go) + "echo two")
    script = shell.script("redact.sh", "launch.sh", "follow.sh", **{**clone.variables, "run": "r1", "from": 1})
    follower = subprocess.Popen(
        ["bash", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert follower.stdin is not None
    assert follower.stdout is not None
    follower.stdin.write(runs.payload(clone.files(step)))
    follower.stdin.close()
    assert any(b"one" in line for line in follower.stdout)
    os.killpg(follower.pid, signal.SIGHUP)
    os.killpg(follower.pid, signal.SIGKILL)
    follower.wait()
    follower.stdout.close()
    threading.Timer(0.2, go.touch).start()
    assert told(clone.follow())[3:] == [
        ("line", "sync", "one"),
        ("line", "sync", "two"),
        ("end", "sync", "0"),
        ("done", "done"),
    ]


def test_a_difference_to_what_was_planned_stops_before_the_first_step(clone: Clone) -> None:
    guard = "printf 'HEAD\\tnew\\ncontainer\\tc1\\nbranch\\ta\\\\tb\\n'"
    expected = "HEAD\told\ncontainer\tc1\ndatabase\t17\n"
    events = clone.start("r1", Step("sync", "true"), guard=guard, expected=expected)
    assert told(events)[2:] == [
        ("changed", "HEAD", "old", "new"),
        ("changed", "database", "17", ""),
        ("changed", "branch", "", "a\tb"),
        ("done", "changed"),
    ]
    assert not clone.locked()


def test_an_equal_guard_lets_the_run_go_on(clone: Clone) -> None:
    events = clone.start("r1", Step("sync", "true"), guard="printf 'a\\tx y\\nb\\t\\n'", expected="b\t\na\tx y\n")
    assert told(events)[-1] == ("done", "done")


def test_a_guard_that_fails_stops_the_run_and_says_why(clone: Clone) -> None:
    events = clone.start("r1", Step("sync", "true"), guard="echo no docker >&2; exit 3")
    assert told(events)[2:] == [("line", "guard", "no docker"), ("done", "refused", "guard", "3")]


def beside(script: str) -> Step:
    """A first step that leaves time to others once it boots."""
    return Step("proof", script, harmless=True, beside=True)


def test_the_guard_looks_while_the_first_step_is_at_work_and_the_next_one_waits_for_it(clone: Clone) -> None:
    proof = beside(f"[ ! -e looks ]; touch booting; {waiting_for(Path('looks'))}")
    guard = "touch looks; sleep 0.5; touch seen; printf 'HEAD\\ta\\n'"
    events = clone.start("r1", proof, Step("sync", "[ -e seen ]"), guard=guard, expected="HEAD\ta\n")
    assert told(events)[-1] == ("done", "done")


@pytest.mark.parametrize("proof", ["touch booting", "touch booting; sleep 1; exit 1", "exit 1"])
def test_what_the_guard_saw_is_told_however_the_step_beside_it_ended(clone: Clone, proof: str) -> None:
    settle = {"settle.sh": "echo settled"}
    steps = (beside(proof), Step("sync", "touch begun"))
    events = clone.start("r1", *steps, guard="printf 'HEAD\\tnew\\n'", expected="HEAD\told\n", asides=settle)
    assert [event[0] for event in told(events)][2:4] == ["begin", "end"]
    assert told(events)[4:] == [
        ("changed", "HEAD", "old", "new"),
        ("line", "settle", "settled"),
        ("done", "changed"),
    ]
    assert not clone.locked()
    assert not (clone.folder("r1") / "begun").exists()


def test_a_guard_that_fails_beside_a_step_stops_the_run_and_says_why(clone: Clone) -> None:
    events = clone.start("r1", beside("touch booting"), guard="echo no docker >&2; exit 3")
    assert ("line", "guard", "no docker") in told(events)
    assert told(events)[-1] == ("done", "refused", "guard", "3")


@pytest.mark.parametrize("boots", [True, False], ids=["the first one boots", "it does not"])
def test_an_early_step_gets_ready_beside_the_first_one_and_goes_on_in_its_turn(clone: Clone, *, boots: bool) -> None:
    proof = beside(f"touch booting; {waiting_for(Path('ready'))}" if boots else "true")
    copy = Step("copy", f"{shell.source('common.sh')}touch ready; await_turn; cat; echo copied", early=True)
    events = clone.start("r1", proof, Step("sync", "echo fetched; sleep 0.3"), copy, Step("clean", "true"))
    assert told(events)[2:] == [
        ("begin", "proof"),
        ("end", "proof", "0"),
        ("begin", "sync"),
        ("line", "sync", "fetched"),
        ("end", "sync", "0"),
        ("begin", "copy"),
        ("line", "copy", "copied"),
        ("end", "copy", "0"),
        ("begin", "clean"),
        ("end", "clean", "0"),
        ("done", "done"),
    ]


def test_an_early_step_outlives_a_harness_that_is_killed_in_its_turn(clone: Clone) -> None:
    proof = beside(f"touch booting; {waiting_for(Path('ready'))}")
    says = Step("copy", "touch ready; read -r || exit 0; echo up; sleep 0.5; echo on; touch over", early=True)
    clone.start_and_leave("r1", proof, says, seen=("line", "copy", "up"))
    clone.kill_harness()
    until((clone.folder("r1") / "over").exists)
    until(lambda: not clone.locked())
    assert ("line", "copy", "on") in clone.journal("r1")


def test_an_early_step_may_take_as_long_as_one_that_begins_in_its_turn(clone: Clone) -> None:
    proof = beside(f"touch booting; {waiting_for(Path('ready'))}sleep 1.5")
    copy = Step("copy", "touch ready; read -r; echo copied", timeout=1, early=True)
    assert told(clone.start("r1", proof, copy))[-1] == ("done", "done")


def test_an_early_step_that_ended_before_its_turn_has_failed_then(clone: Clone) -> None:
    proof = beside(f"touch booting; {waiting_for(Path('ready'))}")
    copy = Step("copy", "echo oh; touch ready; exit 5", early=True)
    assert told(clone.start("r1", proof, copy))[4:] == [
        ("begin", "copy"),
        ("line", "copy", "oh"),
        ("end", "copy", "5"),
        ("done", "failed", "copy", "5"),
    ]


@pytest.mark.parametrize(
    "how", ["a step fails", "the guard differs", "it is undone", "sigterm", "the harness is killed"]
)
def test_early_steps_end_with_a_run_that_ends_before_their_turn(clone: Clone, how: str) -> None:
    early = [
        Step(name, f"echo $$ >{name}.pid; read -r || exit 0; touch turned", early=True) for name in ("copy", "clean")
    ]
    there = "".join(waiting_for(Path(f"{step.name}.pid")) for step in early)
    sync = Step("sync", "echo up; exit 1" if how == "a step fails" else "echo up; sleep 2")
    guard = {"guard": "echo", "expected": "a\tb\n"} if how == "the guard differs" else {}
    seen = ("begin", "proof") if guard else ("line", "sync", "up")
    clone.start_and_leave("r1", beside(f"touch booting; {there}"), sync, *early, seen=seen, **guard)
    if how == "it is undone":
        clone.decide("r1", "undo")
    elif how == "sigterm":
        os.kill(int(clone.holder()["pid"]), signal.SIGTERM)
    elif how == "the harness is killed":
        clone.kill_harness()
    pids = [clone.folder("r1") / f"{step.name}.pid" for step in early]
    until(lambda: all(pid.exists() and not Path(f"/proc/{pid.read_text().strip()}").exists() for pid in pids))
    until(lambda: not clone.locked())
    assert not (clone.folder("r1") / "turned").exists()


def test_sigterm_ends_the_step_and_is_recorded(clone: Clone, tmp_path: Path) -> None:
    mark = tmp_path / "pid"
    step = Step("sync", f"sleep 60 & echo $! >{shlex.quote(str(mark))}; echo up; wait")
    clone.start_and_leave("r1", step, Step("copy", "true"), seen=("line", "sync", "up"))
    os.kill(int(clone.holder()["pid"]), signal.SIGTERM)
    assert told(clone.follow())[4:] == [("end", "sync", "143"), ("done", "failed", "sync", "143")]
    until(lambda: not Path(f"/proc/{mark.read_text().strip()}").exists())
    assert not clone.locked()


def test_sigterm_ends_even_a_step_that_ignores_it(clone: Clone) -> None:
    step = Step("sync", "trap '' TERM; echo up; while :; do sleep 0.1; done")
    clone.start_and_leave("r1", step, seen=("line", "sync", "up"))
    os.kill(int(clone.holder()["pid"]), signal.SIGTERM)
    assert told(clone.follow())[-1] == ("done", "failed", "sync", "143")


def test_sighup_and_sigint_change_nothing(clone: Clone, tmp_path: Path) -> None:
    go = tmp_path / "go"
    clone.start_and_leave("r1", Step("sync", "echo up\n" + waiting_for(go)), seen=("line", "sync", "up"))
    for number in (signal.SIGHUP, signal.SIGINT):
        os.kill(int(clone.holder()["pid"]), number)
    go.touch()
    assert told(clone.follow())[-1] == ("done", "done")


def test_a_step_is_stopped_when_its_output_can_no_longer_be_journaled(clone: Clone, tmp_path: Path) -> None:
    mark = tmp_path / "went on"
    step = Step("sync", f"rm journal; mkdir journal; echo lost; sleep 30; touch {shlex.quote(str(mark))}")
    events = told(clone.start("r1", step))
    assert not mark.exists()
    assert not clone.locked()
    assert not (clone.state / "holder").exists()
    why = f"{clone.folder('r1')}/journal: Is a directory"
    assert ("unwritten", why) in events
    assert events[-1] == ("done", "failed", "sync", "74", f"cannot write {why}")


def test_no_step_begins_when_the_journal_cannot_be_written(clone: Clone, tmp_path: Path) -> None:
    mark = tmp_path / "went on"
    clone.start("r1", Step("sync", "rm journal; mkdir journal"), Step("copy", f"touch {shlex.quote(str(mark))}"))
    until(lambda: not clone.locked())
    assert not mark.exists()


def test_a_late_follower_sees_everything(clone: Clone) -> None:
    started = clone.start("r1", Step("sync", "echo one"))
    assert clone.follow("r1") == started


def test_a_follower_can_go_on_where_it_stopped(clone: Clone) -> None:
    started = clone.start("r1", Step("sync", "echo one"))
    assert clone.follow("r1", first_line=4) == started[3:]


def test_without_an_id_the_last_run_that_had_the_lock_is_followed(clone: Clone, tmp_path: Path) -> None:
    go = tmp_path / "go"
    clone.start_and_leave("20260101T000000-aa", Step("sync", waiting_for(go)), seen=("begin", "sync"))
    clone.start("20260101T000001-bb")
    go.touch()
    until(lambda: not clone.locked())
    assert clone.follow()[0].fields[0] == "20260101T000000-aa"


@pytest.mark.parametrize("run", ["", "r9"])
def test_a_run_that_does_not_exist_is_said_to_be_none(clone: Clone, run: str) -> None:
    assert told(clone.follow(run)) == [("none", run)]


def test_any_clone_path_and_operator_work(tmp_path: Path) -> None:
    clone = make_clone(tmp_path / "生产 \"a\" 'b' $c\nd")
    clone.about["operator"] = "爱达 \\ \t\n o'hara@laptop"
    events = clone.start("r1", Step("sync", f"echo {shlex.quote(SECRET)}"))
    assert told(events)[0] == ("run", "r1", "hot-update", clone.about["operator"], "")
    assert told(events)[3:] == [("line", "sync", "[DB_PASSWORD]"), ("end", "sync", "0"), ("done", "done")]


def test_without_a_clone_nothing_is_made(tmp_path: Path) -> None:
    clone = Clone(tmp_path)
    with runs.start(ThisMachine(), clone.variables, "r1", clone.files(Step("sync", "true"))) as events:
        assert list(events) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can work on somebody else's clone")
def test_what_root_leaves_in_somebodys_clone_belongs_to_them(tmp_path: Path) -> None:
    with TemporaryDirectory() as reachable:
        Path(reachable).chmod(0o755)
        clone = make_clone(Path(reachable) / "clone")
        subprocess.run(["chown", "-R", "nobody", str(clone.path)], check=True)
        go = tmp_path / "go"
        clone.start_and_leave("r1", Step("sync", waiting_for(go)), seen=("begin", "sync"))
        made = (clone.state, clone.state / "lock", clone.state / "holder", clone.folder("r1"))
        owners = {path.owner() for path in made}
        go.touch()
        assert clone.follow()[-1].fields == ("done",)
        assert owners == {"nobody"}
