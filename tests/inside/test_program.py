"""The program itself: what it is written in, how the container keeps it, and that it works there alone."""

import ast
import base64
import json
import re
import subprocess
import sys
import zlib

import pytest

from deploy.inside import as_worker_program, standby
from tests.inside.world import PROGRAM, World, words_of
from tests.plain import plain_bytes

SOURCES = json.loads(zlib.decompress(base64.b64decode(PROGRAM)))


def test_the_program_is_written_in_the_syntax_of_python_3_9() -> None:
    for source in SOURCES.values():
        ast.parse(source, feature_version=(3, 9))


def test_the_program_imports_nothing_but_the_standard_library() -> None:
    parsed = [node for source in SOURCES.values() for node in ast.walk(ast.parse(source))]
    names = {alias.name for node in parsed if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in parsed if isinstance(node, ast.ImportFrom)}
    others = {name for name in names if name.split(".")[0] not in sys.stdlib_module_names}
    assert others <= set(SOURCES)


def test_nothing_of_ours_needs_a_folder_for_temporary_files_in_the_container() -> None:
    sources = {**SOURCES, "as_worker": as_worker_program(), "standby": standby()}
    found = [name for name, source in sources.items() if re.search("tempfile|TMPDIR|/tmp|/dev/shm", source)]
    assert found == []


def test_the_program_is_kept_by_the_first_command_that_may_change_something(world: World) -> None:
    world.inspect()
    assert not world.record.exists()
    assert [asked_for(world) for _ in range(3)] == ["send", "kept", "kept"]


def asked_for(world: World) -> str:
    """What a command asks for first."""
    words = words_of("clean", world.settings)
    ended = subprocess.run(words, input=PROGRAM, capture_output=True, check=True, timeout=60)
    return ended.stdout.splitlines()[0].decode()


@pytest.mark.parametrize("kept", [b"", b"another version", b"\xff"])
def test_a_kept_program_that_is_another_is_not_run_but_replaced(world: World, kept: bytes) -> None:
    world.record.mkdir()
    (world.record / "program").write_bytes(kept)
    assert [asked_for(world) for _ in range(2)] == ["send", "kept"]


def test_a_kept_program_that_was_damaged_is_not_run_but_replaced(world: World) -> None:
    asked_for(world)
    kept = bytearray((world.record / "program").read_bytes())
    kept[len(kept) // 2] ^= 1
    (world.record / "program").write_bytes(kept)
    assert [asked_for(world) for _ in range(2)] == ["send", "kept"]


def test_a_program_that_cannot_be_kept_is_run_all_the_same(world: World) -> None:
    (world.record / "program").mkdir(parents=True)
    world.done("clean")
    assert (world.record / "program").is_dir()


def test_a_program_that_was_cut_off_is_not_run(world: World) -> None:
    words = words_of("clean", world.settings)
    answer = subprocess.run(words, input=PROGRAM[:-9], capture_output=True, check=False, timeout=60)
    assert (answer.returncode, answer.stdout) == (1, b"send\n")
    assert plain_bytes(answer.stderr) == b"clean: the program was cut off on its way into the container\n"


def test_a_copy_keeps_out_a_second_one(world: World) -> None:
    revision = world.commit({"a.py": b"a"})
    needed, _ = world.scan(revision)
    words = words_of("stage", {**world.settings, "revision": revision})
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as first:
        assert first.stdin
        while not (world.record / "tree").exists():
            assert first.poll() is None
        second = world.run("scan", world.entries(revision) + b"\0", revision=revision)
        first.communicate(world.blobs(needed))
    assert second.stderr == b"scan: an earlier update still works in the container\n"
