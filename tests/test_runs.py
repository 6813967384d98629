"""How a run is laid out and how its journal is read."""

import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy import inside, runs, shell
from deploy.errors import Failure
from deploy.runs import Event

VARIABLES: dict[str, str | int | tuple[str, ...]] = {
    "path": "/opt/whalefall",
    "env_file": "/opt/whalefall/.env",
    "secret_words": ("KEY",),
    "secret_keys": (),
    "secret_min_length": 8,
}


@dataclass(frozen=True)
class Step:
    name: str
    script: str
    timeout: int
    undo: str = ""
    harmless: bool = False
    beside: bool = False
    early: bool = False


class Journal:
    """A host whose journal is known beforehand."""

    def __init__(self, *lines: str) -> None:
        self.lines = lines
        self.asked: list[tuple[str, bytes]] = []

    @contextmanager
    def stream(self, script: str, *, stdin: bytes) -> Iterator[Iterator[str]]:
        self.asked.append((script, stdin))
        yield iter(self.lines)


def test_a_run_id_begins_with_the_hosts_clock() -> None:
    assert runs.new_run_id("20261124T000102", "3f2a") == "20261124T000102-3f2a"


@pytest.mark.parametrize("clock", ["", "now", "20261124T000102; rm", "../../x"])
def test_a_host_that_does_not_tell_its_clock_gets_no_run(clock: str) -> None:
    with pytest.raises(Failure, match="the host did not tell its clock"):
        runs.new_run_id(clock, "3f2a")


def test_the_steps_are_laid_out_in_order_with_their_timeouts() -> None:
    steps = (Step("sync", "git fetch\n", 60), Step("copy", "true\n", 120))
    files = runs.files_of(steps, {"verb": "hot-update"}, "guard\n", "HEAD\tabc\n", VARIABLES)
    assert files.pop("runner.sh") == shell.script("redact.sh", "schema.sh", "runner.sh", **VARIABLES)
    assert files.pop("program.sh") == shell.assign(**inside.variables())
    assert files == {
        "about": "verb\thot-update\n",
        "guard.sh": "guard\n",
        "guard.expected": "HEAD\tabc\n",
        "patience": "0\n",
        "steps/01-sync.sh": "git fetch\n",
        "steps/01-sync.timeout": "60\n",
        "steps/02-copy.sh": "true\n",
        "steps/02-copy.timeout": "120\n",
    }


@given(values=st.dictionaries(st.sampled_from(["verb", "operator", "target"]), st.text()))
def test_what_a_run_is_about_is_written_in_records(values: dict[str, str]) -> None:
    files = runs.files_of((), values, "", "", VARIABLES)
    assert list(shell.records(files["about"])) == list(values.items())


def test_the_payload_holds_the_files_for_their_owner_alone() -> None:
    with tarfile.open(fileobj=BytesIO(runs.payload({"a": "1", "steps/01-b.sh": "中"}))) as tar:
        found = {entry.name: (oct(entry.mode), (tar.extractfile(entry) or BytesIO()).read()) for entry in tar}
    del found["sums"]
    assert found == {"a": ("0o600", b"1"), "steps/01-b.sh": ("0o600", "中".encode())}


def test_the_same_files_make_the_same_payload() -> None:
    assert runs.payload({"a": "1"}) == runs.payload({"a": "1"})


def test_events_are_read_up_to_the_last() -> None:
    host = Journal("1.500\tline\tsync\ta\\tb", "2.000\tdone\tfailed\tsync\t1", "3.000\tline\tnever\tseen")
    with runs.follow(host, VARIABLES) as events:
        assert list(events) == [Event(1.5, "line", ("sync", "a\tb")), Event(2.0, "done", ("failed", "sync", "1"))]


def test_cut_lines_of_a_journal_are_passed_over() -> None:
    host = Journal("", "1.5", "17", "Welcome\tto\tthis host", "1.500\tdiffers\tHEAD", "1.600\tlocked")
    with runs.follow(host, VARIABLES) as events:
        assert list(events) == [Event(1.6, "locked", ())]


def test_starting_sends_the_payload_and_the_run_id() -> None:
    host = Journal("1.0\tdone\tdone")
    with runs.start(host, VARIABLES, "r1", {"about": ""}) as events:
        list(events)
    ((script, stdin),) = host.asked
    assert stdin == runs.payload({"about": ""})
    assert "\nrun=r1\nfrom=1\n" in script


def test_following_names_the_run_and_the_first_line() -> None:
    host = Journal()
    with runs.follow(host, VARIABLES, "r1", 7) as events:
        assert list(events) == []
    ((script, stdin),) = host.asked
    assert stdin == b""
    assert "\nrun=r1\nfrom=7\n" in script
