"""Chains of migrations: as they lie in the app, and as a commit has them."""

import json
import tempfile
from pathlib import Path
from typing import Any

from tests.inside.world import World, inside


def revision_file(revision: str, down: str, then: str = "") -> bytes:
    return f'"""Add {revision}\n\nMore."""\nrevision = "{revision}"\ndown_revision = {down}\n{then}\n'.encode()


def chains(world: World, versions: dict[str, bytes]) -> list[Any]:
    """Both chains of the same migrations: as they lie in the app, and as a commit has them."""
    files: dict[str | bytes, bytes | str] = {f"migrations/versions/{name}.py": text for name, text in versions.items()}
    revision = world.commit({**files, "migrations/env.py": b"raise SystemExit"})
    world.update(revision)
    listed = world.git("ls-tree", "-r", "--object-only", revision, "migrations").decode().split()
    sent = world.entries(revision) + world.blobs(listed)
    answer = inside("inspect", world.settings, sent)
    assert answer.returncode == 0
    found = json.loads(answer.stdout)
    return [found["chain"], found["target_chain"]]


def test_a_chain_is_told_from_base_to_head(world: World) -> None:
    found = chains(world, {"z": revision_file("1", "None"), "y": revision_file("2", "'1'", "print('noise')")})
    revisions = [
        {"revision": "1", "down": [], "doc": "Add 1"},
        {"revision": "2", "down": ["1"], "doc": "Add 2"},
    ]
    assert found == [{"heads": ["2"], "revisions": revisions}] * 2


def test_a_chain_may_have_two_heads_and_merges(world: World) -> None:
    versions = {"a": revision_file("1", "None"), "b": revision_file("2", "'1'"), "c": revision_file("3", "'1'")}
    assert [sorted(chain["heads"]) for chain in chains(world, versions)] == [["2", "3"]] * 2
    merged = chains(world, {**versions, "d": revision_file("4", "('2', '3')")})[0]
    assert (merged["heads"], merged["revisions"][-1]["down"]) == (["4"], ["2", "3"])


def test_a_syntax_error_in_a_revision_is_told_with_its_place(world: World) -> None:
    found = chains(world, {"a": revision_file("1", "None", "def (")})
    assert [chain["error"].partition(" (")[2] for chain in found] == ["migrations/versions/a.py, line 6)"] * 2


def test_a_revision_that_cannot_be_imported_is_told_with_its_place(world: World) -> None:
    found = chains(world, {"a": revision_file("1", "None", "import nonexistent")})
    expected = "ModuleNotFoundError: No module named 'nonexistent' (migrations/versions/a.py, line 6)"
    assert found == [{"error": expected}] * 2


def test_a_revision_without_its_parent_is_an_error(world: World) -> None:
    found = chains(world, {"a": revision_file("1", "None"), "b": revision_file("3", "'2'")})
    assert all("'2'" in chain["error"] or "2 referenced" in chain["error"] for chain in found)


def test_a_revision_that_is_there_twice_is_an_error(world: World) -> None:
    found = chains(world, {"a": revision_file("1", "None"), "b": revision_file("1", "None")})
    assert all("Revision 1 is present more than once" in chain["error"] for chain in found)


def test_reading_chains_leaves_nothing_behind(world: World) -> None:
    place = Path(tempfile.gettempdir())
    before = set(place.iterdir())
    chains(world, {"a": revision_file("1", "None")})
    assert {path for path in set(place.iterdir()) - before if (path / "migrations").exists()} == set()
    assert list(world.app.rglob("*.pyc")) == []


def test_a_missing_folder_of_migrations_is_an_error(world: World) -> None:
    found = world.inspect(world.commit({"a.py": b""}))
    assert found["chain"] == found["target_chain"] == {"error": "there is no folder migrations"}


def test_a_missing_blob_of_a_migration_is_an_error(world: World) -> None:
    revision = world.commit({"migrations/versions/a.py": b"x"})
    found = json.loads(world.done("inspect", world.entries(revision)))
    assert found["target_chain"] == {"error": "the host did not send migrations/versions/a.py"}


def test_a_missing_alembic_is_an_error_of_the_chain_alone(world: World) -> None:
    (world.app / "migrations").mkdir()
    # -S: without the site's packages.
    found = json.loads(inside("inspect", world.settings, b"\0\0", "-S").stdout)
    assert found["chain"] == {"error": "ModuleNotFoundError: No module named 'alembic'"}
    assert found["problems"] == []
