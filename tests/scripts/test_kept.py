"""What a run keeps on the host: its history, on disks that fail, damaged, and by whichever clock."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from deploy import runs, shell
from deploy.errors import Failure
from tests.scripts.runner import (
    Clone,
    Step,
    ThisMachine,
    told,
    undoable,
    until,
    waiting_for,
    words,
)

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
