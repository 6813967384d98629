"""What comes in over stdin: a list or a blob that is damaged, cut off or leads elsewhere is not taken."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings

from deploy.inside.message import ExpectedError
from deploy.inside.wire import blob_id, field, read_blobs, read_entries
from deploy.message import unpack
from deploy.wording import text
from tests.inside.damage import damaged
from tests.inside.world import World, tree

ID = b"1" * 40
ENTRIES = b"\0:000000 100644 %b %b A\0a/b.py\0:100644 000000 %b %b D\0c\0\0" % (ID, ID, ID, ID)
BLOBS = b"".join(
    b"%b blob %d\n%b\n" % (blob_id(content, 40).encode(), len(content), content) for content in (b"", b"good", b"\0\n")
)


@pytest.mark.parametrize("cut", [0, 1, 2, 30])
def test_a_list_that_is_cut_off_is_an_error(world: World, cut: int) -> None:
    revision = world.commit({"a.py": b"a"})
    sent = world.entries(revision)
    answer = world.run("scan", sent[: len(sent) - cut], revision=revision)
    expected = b"scan: the list of files was cut off on its way into the container\n"
    assert (answer.returncode, answer.stderr) == (1, expected)


@pytest.mark.parametrize("said", [b"", b'{"need_bytes": 1, "apply": tr'])
def test_nothing_is_brought_where_what_the_host_says_is_cut_off(world: World, said: bytes) -> None:
    revision = world.commit({"a.py": b"a"})
    answer = world.run("bring", lambda base: world.entries(revision, base) + world.history() + said, revision=revision)
    assert answer.stderr == b"bring: the list of files was cut off on its way into the container\n"
    assert tree(world.app) == {}


def test_what_a_commit_has_is_sent_and_moved_in_in_one_go(world: World) -> None:
    revision = world.commit({"a.py": b"a"})
    told = b'{"need_bytes": 1, "apply": true, "known": []}\n' + world.blobs([blob_id(b"a", 40)])
    world.done("bring", lambda base: world.entries(revision, base) + world.history() + told, revision=revision)
    assert (tree(world.app), world.recorded()["revision"]) == ({"a.py": b"a"}, revision)


@pytest.mark.parametrize("path", [b"../x", b"/x", b"a/./b", b"a//b"])
def test_a_path_that_leads_elsewhere_is_refused(world: World, path: bytes) -> None:
    entry = b"\0:000000 100644 %b %b A\0%b\0\0\0" % (b"0" * 40, b"1" * 40, path)
    answer = world.run("scan", entry, revision="1" * 40)
    assert answer.stderr.startswith(b"scan: not git's list of files: ")


def test_a_damaged_blob_is_not_written(world: World) -> None:
    revision = world.commit({"a.py": b"good"})
    needed, _ = world.scan(revision)
    answer = world.run("stage", world.blobs(needed).replace(b"good", b"evil"), revision=revision)
    assert answer.returncode == 1
    assert b"was damaged on its way" in answer.stderr
    assert tree(world.app) == {}


def test_a_blob_that_git_misses_is_an_error(world: World) -> None:
    revision = world.commit({"a.py": b"good"})
    world.scan(revision)
    answer = world.run("stage", world.blobs(["1" * 40]), revision=revision)
    assert answer.stderr == b"stage: git did not send a blob but said: %b missing\n" % (b"1" * 40)


def test_a_blob_that_is_cut_off_is_an_error(world: World) -> None:
    revision = world.commit({"a.py": b"good"})
    needed, _ = world.scan(revision)
    answer = world.run("stage", world.blobs(needed)[:-3], revision=revision)
    assert answer.stderr == b"stage: a file was cut off on its way into the container\n"


@pytest.mark.parametrize("size", [b"x", b"-1", b"1.5", b"9" * 13, b"9" * 5000])
def test_a_blob_of_no_possible_size_is_an_error(size: bytes) -> None:
    with pytest.raises(ExpectedError) as raised:
        list(read_blobs(io.BufferedReader(io.BytesIO(b"%b blob %b\ngood\n" % (ID, size)))))
    assert text(unpack(str(raised.value))).startswith("git did not send a blob but said: ")


@settings(max_examples=60)
@given(sent=damaged(ENTRIES))
def test_any_damaged_list_is_read_or_an_expected_error(sent: bytes) -> None:
    read_or_refused(lambda stream: read_entries(stream, {}), sent)
    read_or_refused(field, sent)


@settings(max_examples=60)
@given(sent=damaged(BLOBS))
def test_any_damaged_blobs_are_read_or_an_expected_error(sent: bytes) -> None:
    read_or_refused(lambda stream: list(read_blobs(stream)), sent)


def read_or_refused(read: Callable[[io.BufferedReader], Any], sent: bytes) -> None:
    refusal = ""
    try:
        read(io.BufferedReader(io.BytesIO(sent)))
    except ExpectedError as error:
        refusal = text(unpack(str(error)))
    assert refusal.isprintable()
