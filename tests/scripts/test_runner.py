"""The harness with real processes, real locks and a real git clone."""

import os
import shlex
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from deploy import runs, shell
from deploy.errors import Failure
from deploy.runs import Event

SECRET = "s3cret & $value"
WORDS = ("PASSWORD", "SECRET", "KEY", "TOKEN", "URL")


@dataclass(frozen=True)
class Step:
    name: str
    script: str
    timeout: int = 20
    undo: str = ""
    harmless: bool = False


class ThisMachine:
    """A host without SSH: scripts run in a Bash of their own."""

    @contextmanager
    def stream(self, script: str, *, stdin: bytes) -> Iterator[Iterator[str]]:
        process = subprocess.Popen(["bash", "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdin is not None
        assert process.stdout is not None
        # A script may end without having read everything.
        with suppress(BrokenPipeError), process.stdin:
            process.stdin.write(stdin)
        try:
            yield (line.decode("utf-8", "surrogateescape").rstrip("\n") for line in process.stdout)
        finally:
            process.stdout.close()
            process.wait()


@dataclass
class Clone:
    path: Path
    about: dict[str, str] = field(default_factory=lambda: {"verb": "hot-update", "operator": "ada@laptop"})

    @property
    def variables(self) -> dict[str, str | int | tuple[str, ...]]:
        env_file = str(self.path / ".env")
        shared = {"path": str(self.path), "env_file": env_file}
        return {**shared, "secret_words": WORDS, "secret_keys": (), "secret_min_length": 8}

    @property
    def state(self) -> Path:
        return self.path / ".git" / "hot-update"

    def folder(self, run: str) -> Path:
        return self.state / "runs" / run

    def files(self, *steps: Step, guard: str = "", expected: str = "", **more: Any) -> dict[str, str]:
        return runs.files_of(steps, self.about, guard, expected, self.variables, **more)

    def start(self, run: str, *steps: Step, guard: str = "", expected: str = "", **more: Any) -> list[Event]:
        files = self.files(*steps, guard=guard, expected=expected, **more)
        with runs.start(ThisMachine(), self.variables, run, files) as events:
            return list(events)

    def decide(self, run: str, choice: runs.Choice, who: str = "ada") -> tuple[str, str]:
        return runs.decide(ThisMachine(), self.variables, run, choice, who)

    def start_and_leave(self, run: str, *steps: Step, seen: tuple[str, ...], **more: Any) -> None:
        """Follow a run until an event, and leave as a laptop does whose lid is closed."""
        with runs.start(ThisMachine(), self.variables, run, self.files(*steps, **more)) as events:
            next(event for event in events if (event.kind, *event.fields) == seen)

    def follow(self, run: str = "", first_line: int = 1) -> list[Event]:
        with runs.follow(ThisMachine(), self.variables, run, first_line) as events:
            return list(events)

    def journal(self, run: str) -> list[tuple[str, ...]]:
        text = (self.folder(run) / "journal").read_text(encoding="utf-8", errors="surrogateescape")
        return [fields[1:] for fields in shell.records(text)]

    def locked(self) -> bool:
        return subprocess.run(["flock", "-n", str(self.state / "lock"), "true"], check=False).returncode != 0

    def holder(self) -> dict[str, str]:
        return dict((name, value) for name, value in shell.records((self.state / "holder").read_text()))  # noqa: C402 - pairs

    def kill_harness(self) -> None:
        os.kill(int(self.holder()["pid"]), signal.SIGKILL)


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return make_clone(tmp_path / "clone")


def make_clone(path: Path) -> Clone:
    subprocess.run(["git", "init", "-q", str(path)], check=True)
    (path / ".env").write_text(f"DB_PASSWORD='{SECRET}'\n")
    return Clone(path)


def told(events: list[Event]) -> list[tuple[str, ...]]:
    return [(event.kind, *event.fields) for event in events]


def until(condition: Callable[[], bool]) -> None:
    """Wait for what is bound to happen."""
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def waiting_for(path: Path) -> str:
    """A script that waits until a file appears."""
    return f"until [ -e {shlex.quote(str(path))} ]; do sleep 0.02; done\n"


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


# Undo


def noting(log: Path, word: str, status: int = 0) -> str:
    return f"echo {word} >>{shlex.quote(str(log))}; exit {status}\n"


def undoable(log: Path, name: str, script: str = "true") -> Step:
    return Step(name, script, undo=noting(log, f"undo-{name}"))


def words(log: Path) -> list[str]:
    return log.read_text().split() if log.exists() else []


def test_a_failed_step_and_those_before_it_are_undone_the_last_one_first(clone: Clone, tmp_path: Path) -> None:
    log = tmp_path / "log"
    steps = (undoable(log, "sync"), Step("clean", "true"), undoable(log, "copy", "false"), undoable(log, "restart"))
    events = told(clone.start("r1", *steps))
    assert words(log) == ["undo-copy", "undo-sync"]
    assert ("undo", "copy", "1") in events
    assert events[-1] == ("done", "undone", "copy", "1")
    assert not clone.locked()


def test_before_an_undo_the_step_is_settled_and_after_it_the_old_release_is_proven(
    clone: Clone, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    asides = {"settle.sh": noting(log, "settled"), "prove.sh": f"echo proven-$1 >>{shlex.quote(str(log))}\n"}
    events = clone.start("r1", undoable(log, "copy", "false"), asides=asides)
    assert words(log) == ["settled", "undo-copy", "proven-old"]
    assert told(events)[-1] == ("done", "undone", "copy", "1")


@pytest.mark.parametrize("broken", ["settle.sh", "prove.sh", "undo"])
def test_an_undo_that_does_not_succeed_goes_on_and_is_told_apart(clone: Clone, tmp_path: Path, broken: str) -> None:
    log = tmp_path / "log"
    asides = {name: noting(log, name, int(name == broken)) for name in ("settle.sh", "prove.sh")}
    copy = Step("copy", "false", undo=noting(log, "undo-copy", int(broken == "undo")))
    events = clone.start("r1", undoable(log, "sync"), copy, asides=asides)
    assert words(log) == ["settle.sh", "undo-copy", "undo-sync", "prove.sh"]
    assert told(events)[-1] == ("done", "undone-ill", "copy", "1")


def test_a_step_that_refused_is_not_undone_itself(clone: Clone, tmp_path: Path) -> None:
    log = tmp_path / "log"
    assert told(clone.start("r1", undoable(log, "sync", "exit 3")))[-1] == ("done", "refused", "sync", "3")
    events = clone.start("r2", undoable(log, "sync"), undoable(log, "copy", "exit 3"))
    assert told(events)[-1] == ("done", "undone", "copy", "3")
    assert words(log) == ["undo-sync"]


def test_before_an_undo_the_container_is_brought_back(clone: Clone, tmp_path: Path) -> None:
    log = tmp_path / "log"
    asides = {"settle.sh": noting(log, "settled"), "revive.sh": noting(log, "revived")}
    clone.start("r1", undoable(log, "copy", "false"), asides=asides)
    assert words(log) == ["settled", "revived", "undo-copy"]


@pytest.mark.parametrize(
    ("revive", "prove", "outcome"),
    [("true", "false", "refused"), (": >revived", "true", "refused"), (": >revived", "false", "undone-ill"),
     ("false", "true", "undone-ill")],
    ids=["it runs", "it was brought back", "it is ill since", "it is gone"],
)  # fmt: skip
def test_a_run_that_changed_nothing_says_so_only_where_the_container_is_as_before(
    clone: Clone, revive: str, prove: str, outcome: str
) -> None:
    asides = {"settle.sh": "true\n", "revive.sh": f"{revive}\n", "prove.sh": f"{prove}\n"}
    events = clone.start("r1", Step("proof", "exit 1", harmless=True), asides=asides)
    assert events[-1].fields == (outcome, "proof", "1")


def test_an_undo_whose_harness_dies_is_finished_by_the_next_run(clone: Clone, tmp_path: Path) -> None:
    log = tmp_path / "log"
    kills = '[ -e killed ] || { : >killed; kill -KILL "$(sed -n "s/^pid\\t//p" ../../holder)"; sleep 1; }\n'
    copy = Step("copy", "false", undo=kills + noting(log, "undo-copy"))
    clone.start("r1", undoable(log, "sync"), copy)
    clone.start("r2", Step("x", "true"), patience=20)
    assert words(log) == ["undo-copy", "undo-copy", "undo-sync"]
    last = (clone.folder("r1") / "journal").read_text().splitlines()[-1]
    assert last.split("\t")[1:] == ["done", "undone", "copy", "137", "its harness died"]


def test_when_only_harmless_steps_ran_nothing_was_changed(clone: Clone, tmp_path: Path) -> None:
    proof = Step("proof", "false", harmless=True)
    assert told(clone.start("r1", proof, undoable(tmp_path / "log", "copy")))[-1] == ("done", "refused", "proof", "1")


def test_a_run_that_is_to_be_undone_ends_after_the_running_step(clone: Clone, tmp_path: Path) -> None:
    go, log = tmp_path / "go", tmp_path / "log"
    clone.start_and_leave("r1", undoable(log, "sync", waiting_for(go)), undoable(log, "copy"), seen=("begin", "sync"))
    assert clone.decide("r1", "undo") == ("undo", "ada")
    go.touch()
    events = told(clone.follow("r1"))
    assert ("end", "sync", "0") in events
    assert ("begin", "copy") not in events
    assert events[-1] == ("done", "undone", "copy", "143", "ada")
    assert words(log) == ["undo-sync"]


def test_what_needs_the_proof_is_done_after_an_undo_that_succeeded(clone: Clone, tmp_path: Path) -> None:
    log = tmp_path / "log"
    asides = {"prove.sh": "true\n", "proven.sh": f"echo proven-$1 >>{shlex.quote(str(log))}\n"}
    clone.start("r1", undoable(log, "copy", "false"), asides=asides)
    assert words(log) == ["undo-copy", "proven-old"]
    clone.start("r2", undoable(log, "copy", "false"), asides=asides | {"prove.sh": "false\n"})
    assert words(log) == ["undo-copy", "proven-old", "undo-copy"]


# Confirm


@pytest.mark.parametrize("status", [0, 1])
def test_what_needs_the_proof_is_done_once_a_run_is_confirmed_and_cannot_fail_it(
    clone: Clone, tmp_path: Path, status: int
) -> None:
    log = tmp_path / "log"
    asides = {"proven.sh": f"echo proven-$1 >>{shlex.quote(str(log))}; exit {status}\n"}
    clone.start_and_leave("r1", undoable(log, "copy"), seen=("confirming", "60"), confirm=60, asides=asides)
    assert words(log) == []
    clone.decide("r1", "confirm")
    assert told(clone.follow("r1"))[-2:] == [("confirmed", "ada"), ("done", "done")]
    assert words(log) == ["proven-new"]


def test_a_run_waits_until_it_is_confirmed(clone: Clone, tmp_path: Path) -> None:
    log = tmp_path / "log"
    clone.start_and_leave("r1", undoable(log, "copy"), seen=("confirming", "60"), confirm=60)
    assert clone.decide("r1", "confirm") == ("confirm", "ada")
    assert told(clone.follow("r1"))[-2:] == [("confirmed", "ada"), ("done", "done")]
    assert words(log) == []
    assert clone.decide("r1", "undo") == ("ended", "")


def test_of_two_that_decide_the_first_one_decides(clone: Clone, tmp_path: Path) -> None:
    clone.start_and_leave("r1", undoable(tmp_path / "log", "copy"), seen=("confirming", "60"), confirm=60)
    assert clone.decide("r1", "undo") == ("undo", "ada")
    assert clone.decide("r1", "confirm", "bob") in (("undo", "ada"), ("ended", ""))
    assert told(clone.follow("r1"))[-1] == ("done", "undone", "confirm", "0", "ada")


@pytest.mark.parametrize(
    ("proof", "unattended", "outcome"),
    [
        ("true", "keep", ("done", "done")),
        ("false", "keep", ("done", "undone", "confirm", "0", "the host")),
        ("true", "undo", ("done", "undone", "confirm", "0", "the host")),
    ],
)
def test_without_a_confirmation_the_host_proves_the_release_and_decides(
    clone: Clone, tmp_path: Path, proof: str, unattended: str, outcome: tuple[str, ...]
) -> None:
    clone.about["unattended"] = unattended
    asides = {"prove.sh": f'[ "$1" = old ] || {proof}\n'}
    events = clone.start("r1", undoable(tmp_path / "log", "copy"), confirm=1, asides=asides)
    assert told(events)[-1] == outcome
    assert words(tmp_path / "log") == ([] if outcome[1] == "done" else ["undo-copy"])


# A harness that died


def test_a_run_whose_harness_died_is_undone_by_the_next_one_before_anything_else(clone: Clone, tmp_path: Path) -> None:
    go, log = tmp_path / "go", tmp_path / "log"
    steps = (undoable(log, "sync"), undoable(log, "copy", waiting_for(go)))
    clone.start_and_leave("r1", *steps, seen=("begin", "copy"))
    clone.kill_harness()
    go.touch()
    until(lambda: not clone.locked())
    events = told(clone.start("r2", Step("clean", noting(log, "clean"))))
    assert events[2][:2] == ("took-over", "r1")
    assert events[3] == ("resumed", "r1", "undone")
    assert words(log) == ["undo-copy", "undo-sync", "clean"]
    assert clone.journal("r1")[-1] == ("done", "undone", "copy", "137", "its harness died")
    assert events[-1] == ("done", "done")


def test_a_harness_that_died_waiting_for_the_confirmation_leaves_the_decision_to_the_next(
    clone: Clone, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    asides = {"prove.sh": noting(log, "proven")}
    clone.start_and_leave("r1", undoable(log, "copy"), seen=("confirming", "60"), confirm=60, asides=asides)
    clone.kill_harness()
    until(lambda: not clone.locked())
    assert ("resumed", "r1", "done") in told(clone.start("r2"))
    assert clone.journal("r1")[-2:] == [("confirmed", "the host"), ("done", "done")]
    assert words(log) == ["proven"]


# History


def test_every_run_leaves_a_line_in_the_history(clone: Clone, tmp_path: Path) -> None:
    clone.about |= {"was": "1" * 40, "revision": "2" * 40}
    clone.start("r1", Step("sync", "true"), Step("copy", "true"))
    clone.start("r2", undoable(tmp_path / "log", "copy", "false"))
    clone.start("r3", Step("proof", "false", harmless=True))
    rows = list(shell.records((clone.state / "history").read_text()))
    assert [row[1:6] for row in rows] == [(f"r{n}", "hot-update", "ada@laptop", "1" * 40, "2" * 40) for n in (1, 2, 3)]
    assert [row[7:9] for row in rows] == [("done", ""), ("undone", "copy 1"), ("refused", "proof 1")]
    steps = [[step.split()[:2] for step in row[9].split(",")] for row in rows]
    assert steps == [[["sync", "0"], ["copy", "0"]], [["copy", "1"]], [["proof", "1"]]]


def test_what_whoever_decides_had_met_by_probing_goes_into_the_history(clone: Clone, tmp_path: Path) -> None:
    clone.start_and_leave("r1", undoable(tmp_path / "log", "copy"), seen=("confirming", "60"), confirm=60)
    runs.decide(ThisMachine(), clone.variables, "r1", "confirm", "ada", "312 0 0.1 0.02")
    clone.follow("r1")
    clone.start("r2")
    assert [row[10] for row in shell.records((clone.state / "history").read_text())] == ["312 0 0.1 0.02", ""]


def test_old_runs_are_pruned_and_confirmed_ones_last(clone: Clone, tmp_path: Path) -> None:
    log = tmp_path / "log"
    clone.about["keep"] = "2"
    clone.start_and_leave("r1", undoable(log, "copy"), seen=("confirming", "60"), confirm=60)
    clone.decide("r1", "confirm")
    clone.follow("r1")
    for run in ("r2", "r3", "r4"):
        clone.start(run, Step("sync", "false"))
    assert sorted(path.name for path in (clone.state / "runs").iterdir()) == ["r1", "r3", "r4"]
    assert len((clone.state / "history").read_text().splitlines()) == 4


def test_runs_that_take_too_much_room_are_pruned(clone: Clone) -> None:
    clone.about["keep_mib"] = "1"
    clone.start("r1", Step("sync", "head -c 2000000 /dev/zero >large"))
    clone.start("r2", Step("sync", "true"))
    assert [path.name for path in (clone.state / "runs").iterdir()] == ["r2"]


def looks(before: str, after: str) -> str:
    """A guard that sees one thing under the lock and another at the end."""
    return f"case $1 in before) {before} ;; after) {after} ;; esac\n"


HEAD_STAYS = "printf 'HEAD\\ta\\n'"
BROKEN = Step("proof", "false", harmless=True)


def test_nothing_was_changed_is_said_where_the_end_looks_like_the_beginning(clone: Clone) -> None:
    schema = f"{HEAD_STAYS}; printf 'table\\tt\\t\\t\\n' >schema.$1"
    events = clone.start("r1", BROKEN, guard=looks(schema, schema), expected="HEAD\ta\n")
    assert told(events)[4:] == [("done", "refused", "proof", "1")]
    assert not list(clone.folder("r1").glob("schema.*"))


def test_what_a_harmless_step_changed_all_the_same_is_told(clone: Clone) -> None:
    guard = looks(HEAD_STAYS, "printf 'HEAD\\tb\\n'")
    events = clone.start("r1", BROKEN, guard=guard, expected="HEAD\ta\n")
    assert told(events)[4:] == [("differs", "HEAD", "a", "b"), ("done", "altered", "proof", "1")]


def test_a_schema_that_is_not_as_before_is_told_with_what_came(clone: Clone) -> None:
    guard = looks(f"{HEAD_STAYS}; : >schema.before", f"{HEAD_STAYS}; printf 'table\\tpublic.t\\t\\t\\n' >schema.after")
    events = clone.start("r1", BROKEN, guard=guard, expected="HEAD\ta\n")
    assert told(events)[4:] == [("schema", "came", "table public.t"), ("done", "altered", "proof", "1")]


def test_a_database_that_cannot_be_asked_in_the_end_is_told_as_unseen(clone: Clone) -> None:
    guard = looks(
        "printf 'database revision\\tr\\n'; : >schema.before",
        f"printf 'database revision\\t\\n'; echo 'down: {SECRET}' >schema.after.problem",
    )
    events = clone.start("r1", BROKEN, guard=guard, expected="database revision\tr\n")
    assert told(events)[4:] == [
        ("unseen", "the database", "down: [DB_PASSWORD]"),
        ("done", "refused", "proof", "1"),
    ]


def test_an_undo_that_left_the_clone_elsewhere_is_no_good_one(clone: Clone) -> None:
    guard = looks(HEAD_STAYS, "printf 'HEAD\\tb\\n'")
    events = clone.start("r1", Step("sync", "false", undo="true"), guard=guard, expected="HEAD\ta\n")
    assert told(events)[-2:] == [("differs", "HEAD", "a", "b"), ("done", "undone-ill", "sync", "1")]


def test_after_an_undo_the_schema_that_stays_is_told_and_its_outcome_is_that_of_its_proof(clone: Clone) -> None:
    guard = looks(f"{HEAD_STAYS}; : >schema.before", f"{HEAD_STAYS}; printf 'table\\tpublic.t\\t\\t\\n' >schema.after")
    events = clone.start("r1", Step("migrate", "false", undo="true"), guard=guard, expected="HEAD\ta\n")
    assert told(events)[-2:] == [("schema", "came", "table public.t"), ("done", "undone", "migrate", "1")]


# Disks that fail


class Disk:
    """An ext4 of its own for what we keep; it turns read-only at its first error."""

    def __init__(self, image: Path, place: Path) -> None:
        self.image, self.place = image, place
        image.touch()
        os.truncate(image, 32 << 20)
        place.mkdir()
        subprocess.run(["mkfs.ext4", "-q", str(image)], check=True)
        self.mount()

    def mount(self) -> None:
        subprocess.run(["mount", "-o", "loop,errors=remount-ro", str(self.image), str(self.place)], check=True)

    def fail(self) -> None:
        found = subprocess.check_output(["findmnt", "-n", "-o", "SOURCE", str(self.place)], text=True).strip()
        Path(f"/sys/fs/ext4/{Path(found).name}/trigger_fs_error").write_text("an error of the disk")

    def mend(self) -> None:
        subprocess.run(["umount", str(self.place)], check=True)
        # Status 1: errors were corrected.
        assert subprocess.run(["e2fsck", "-fy", str(self.image)], capture_output=True, check=False).returncode < 2
        self.mount()


@contextmanager
def disk_of_its_own(clone: Clone, tmp_path: Path) -> Iterator[Disk]:
    disk = Disk(tmp_path / "disk", clone.state)
    try:
        yield disk
    finally:
        subprocess.run(["umount", "--lazy", str(clone.state)], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk")
def test_a_run_whose_disk_turns_read_only_is_undone_and_says_so_and_the_next_one_remembers_it(
    clone: Clone, tmp_path: Path
) -> None:
    go, log = tmp_path / "go", tmp_path / "log"
    with disk_of_its_own(clone, tmp_path) as disk:
        steps = (undoable(log, "sync"), undoable(log, "copy", waiting_for(go) + "echo lost\nsleep 60"))
        with runs.start(ThisMachine(), clone.variables, "r1", clone.files(*steps)) as events:
            next(event for event in events if (event.kind, *event.fields) == ("begin", "copy"))
            disk.fail()
            go.touch()
            rest = told(list(events))
        why = f"{clone.folder('r1')}/journal: Read-only file system"
        assert ("unwritten", why) in rest
        assert rest[-1] == ("done", "undone", "copy", "74", f"cannot write {why}")
        assert words(log) == ["undo-copy", "undo-sync"]
        assert not clone.locked()
        assert told(clone.follow("r1"))[-1] == rest[-1]
        disk.mend()
        then = told(clone.start("r2", Step("sync", "true")))
        assert then[2][:2] == ("took-over", "r1")
        assert ("resumed", "r1", "undone") in then
        assert then[-1] == ("done", "done")
        assert words(log) == ["undo-copy", "undo-sync"]
        rows = [row[1:8:6] for row in shell.records((clone.state / "history").read_text())]
        assert rows == [("r1", "undone"), ("r2", "done")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a disk")
def test_a_release_is_kept_whose_confirmation_no_disk_takes(clone: Clone, tmp_path: Path) -> None:
    log = tmp_path / "log"
    with disk_of_its_own(clone, tmp_path) as disk:
        asides = {"prove.sh": "echo proven\n"}
        files = clone.files(undoable(log, "copy"), confirm=1, asides=asides)
        with runs.start(ThisMachine(), clone.variables, "r1", files) as events:
            next(event for event in events if event.kind == "confirming")
            disk.fail()
            with pytest.raises(Failure, match="the host did not say what was decided"):
                clone.decide("r1", "confirm")
            rest = told(list(events))
        assert ("confirmed", "the host") in rest
        assert rest[-1] == ("done", "done")
        assert words(log) == []


# What is ours and damaged


def test_a_record_that_was_cut_off_in_the_history_does_not_swallow_the_next_one(clone: Clone) -> None:
    clone.start("r1", Step("sync", "true"))
    history = clone.state / "history"
    history.write_bytes(history.read_bytes()[:-20])
    clone.start("r2", Step("sync", "true"))
    assert [row[1] for row in shell.records(history.read_text())] == ["r1", "r2"]


@pytest.mark.parametrize("holder", ["", "run\t", "run\t../../x\npid\t1\n", "\0\0\0", "run\nrun", "x" * 5000])
def test_a_holder_that_says_nothing_is_put_aside_and_the_run_that_died_is_finished(
    clone: Clone, tmp_path: Path, holder: str
) -> None:
    go, log = tmp_path / "go", tmp_path / "log"
    clone.start_and_leave("r1", undoable(log, "copy", waiting_for(go)), seen=("begin", "copy"))
    clone.kill_harness()
    go.touch()
    until(lambda: not clone.locked())
    (clone.state / "holder").write_text(holder)
    events = told(clone.start("r2", Step("sync", "true")))
    assert events[2][:2] == ("damaged", str(clone.state / "holder").replace(str(clone.state), "../.."))
    assert ("resumed", "r1", "undone") in events
    assert events[-1] == ("done", "done")
    assert words(log) == ["undo-copy"]
    assert (clone.state / "holder.damaged").read_text() == holder


def test_a_dead_run_whose_files_are_damaged_is_not_carried_out_but_named(clone: Clone, tmp_path: Path) -> None:
    go, log = tmp_path / "go", tmp_path / "log"
    clone.start_and_leave("r1", undoable(log, "copy", waiting_for(go)), seen=("begin", "copy"))
    clone.kill_harness()
    go.touch()
    until(lambda: not clone.locked())
    (clone.folder("r1") / "steps" / "01-copy.undo.sh").write_text("")
    events = told(clone.start("r2", Step("sync", "true")))
    assert ("damaged", "../../runs/r1/steps/01-copy.undo.sh", "it is not as it was sent") in events
    assert ("resumed", "r1", "abandoned") in events
    assert events[-1] == ("done", "done")
    assert words(log) == []


def test_a_run_whose_harness_died_between_the_history_and_its_last_word_is_not_undone(
    clone: Clone, tmp_path: Path
) -> None:
    log = tmp_path / "log"
    clone.start("r1", undoable(log, "copy"))
    journal = clone.folder("r1") / "journal"
    journal.write_text("".join(journal.read_text().splitlines(keepends=True)[:-1]))
    events = told(clone.start("r2", Step("sync", "true")))
    assert ("resumed", "r1", "done") in events
    assert words(log) == []
    assert len((clone.state / "history").read_text().splitlines()) == 2


def test_a_lock_that_is_no_file_is_named_and_not_taken_for_another_run(clone: Clone) -> None:
    (clone.state / "lock").mkdir(parents=True)
    assert told(clone.start("r1", Step("sync", "true")))[-1] == (
        "done", "refused", "lock", "1", "cannot open ../../lock: Is a directory",
    )  # fmt: skip


# Names, ages and their order


def clock(clone: Clone) -> str:
    script = shell.script(**clone.variables) + 'run_time "$(state_folder)"'
    return subprocess.check_output(["bash", "-c", script], text=True)


def test_the_hosts_clock_names_the_next_run(clone: Clone) -> None:
    now = subprocess.check_output(["date", "-u", "+%Y%m%dT%H%M"], text=True).strip()
    assert clock(clone)[:11] == now[:11]


@pytest.mark.parametrize("place", ["runs/20991231T235959-aaaa", "backups/20991231T235959-aaaa.about"])
def test_the_next_run_is_named_later_than_all_that_exist_whatever_the_clock_says(clone: Clone, place: str) -> None:
    (clone.state / place).mkdir(parents=True)
    assert clock(clone) == "21000101T000000"


def test_the_next_run_is_named_later_than_the_last_one_in_the_history(clone: Clone) -> None:
    clone.start("20991231T235958-aaaa", Step("sync", "true"))
    shutil.rmtree(clone.state / "runs")
    assert clock(clone) == "20991231T235959"


@pytest.mark.parametrize("name", ["99999999T999999-x", "x", "20991399T000000-x"])
def test_a_name_that_is_no_moment_does_not_stop_the_clock(clone: Clone, name: str) -> None:
    (clone.state / "runs" / name).mkdir(parents=True)
    assert clock(clone)[:2] == "20"


def test_a_plan_that_is_older_than_another_run_is_not_carried_out(clone: Clone) -> None:
    clone.start("20260101T000002-aaaa", Step("backup", "true"))
    events = told(clone.start("20260101T000001-bbbb", Step("sync", "true")))
    assert events[2:] == [("changed", "runs since then", "none", "20260101T000002-aaaa"), ("done", "changed")]


def test_a_run_without_an_id_gets_one_that_sorts_last(clone: Clone) -> None:
    clone.start("20991231T235958-aaaa", Step("sync", "true"))
    assert clone.start("")[0].fields[0].startswith("20991231T235959-")
