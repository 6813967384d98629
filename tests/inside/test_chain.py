"""Chains of migrations: as they lie in the app, and as a commit has them."""

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy.inside.chain import Places, chain
from deploy.inside.message import ExpectedError
from deploy.inside.wire import Entry
from deploy.state import with_texts
from tests.inside.world import World, inside


def revision_file(revision: str, down: str, then: str = "") -> bytes:
    return f'"""Add {revision}\n\nMore."""\nrevision = "{revision}"\ndown_revision = {down}\n{then}\n'.encode()


def chains(world: World, versions: dict[str, bytes], ini: str = "", folder: str = "migrations/versions") -> list[Any]:
    """Both chains of the same migrations: as they lie in the app, and as a commit has them."""
    files: dict[str | bytes, bytes | str] = {f"{folder}/{name}.py": text for name, text in versions.items()}
    files |= {"migrations/alembic.ini": ini.encode()} if ini else {}
    revision = world.commit({**files, "migrations/env.py": b"raise SystemExit"})
    world.update(revision)
    listed = world.git("ls-tree", "-r", "--object-only", revision).decode().split()
    sent = world.entries(revision) + world.blobs(listed)
    answer = inside("inspect", world.settings, sent)
    assert answer.returncode == 0
    facts, *texts = answer.stdout.decode().splitlines()
    found = with_texts(json.loads(facts), texts)
    return [found["chain"], found["target_chain"]]


def error(world: World, **versions: bytes) -> str:
    here, there = chains(world, versions)
    assert here == there
    return str(here["error"])


def test_a_chain_is_told_from_base_to_head(world: World) -> None:
    found = chains(world, {"z": revision_file("1", "None"), "y": revision_file("2", "'1'", "print('noise')")})
    revisions = [
        {"revision": "1", "down": [], "depends": [], "doc": "Add 1", "file": "migrations/versions/z.py"},
        {"revision": "2", "down": ["1"], "depends": [], "doc": "Add 2", "file": "migrations/versions/y.py"},
    ]
    assert found == [{"heads": ["2"], "revisions": revisions}] * 2


def test_a_chain_may_have_two_heads_and_merges(world: World) -> None:
    versions = {"a": revision_file("1", "None"), "b": revision_file("2", "'1'"), "c": revision_file("3", "'1'")}
    assert [sorted(chain["heads"]) for chain in chains(world, versions)] == [["2", "3"]] * 2
    merged = chains(world, {**versions, "d": revision_file("4", "('2', '3')")})[0]
    assert (merged["heads"], merged["revisions"][-1]["down"]) == (["4"], ["2", "3"])


def test_nothing_of_a_release_is_run_to_read_its_chain(world: World) -> None:
    versions = {"a": revision_file("1", "None", f"open({str(world.place / 'ran')!r}, 'w')")}
    assert [chain["heads"] for chain in chains(world, versions)] == [["1"]] * 2
    assert not (world.place / "ran").exists()


def test_a_revision_that_imports_the_app_is_read_where_the_app_is_not(world: World) -> None:
    versions = {"a": revision_file("1", "None", "from app.models import Instance")}
    assert [chain["heads"] for chain in chains(world, versions)] == [["1"]] * 2


@pytest.mark.parametrize(
    "text",
    [
        'revision: str = "1"\ndown_revision: "str | None" = None',
        'from typing import Union as U\nrevision: str = "1"\ndown_revision: U[str, None] = None\nbranch_labels = None',
        '__revision__ = "1"\nrevision = __revision__\ndown_revision = None',
        'revision = ("0" * 0,)\nrevision = "" + "1"\ndown_revision = ()',
        'down_revision = None\nrevision = f"1"\ndef upgrade():\n    revision = down_revision = object()',
    ],
    ids=["annotated", "as Alembic writes them", "by another name", "put together", "a name of a function's own"],
)
def test_a_revision_may_be_written_in_many_ways(world: World, text: str) -> None:
    assert [chain["heads"] for chain in chains(world, {"a": text.encode()})] == [["1"]] * 2


def test_what_only_running_a_revision_would_tell_is_an_error_with_its_place(world: World) -> None:
    assert error(world, a=b'import os\n\nrevision = os.environ["X"]') == (
        "revision is not written as a literal (migrations/versions/a.py, line 3)"
    )
    assert error(world, a=b'revision = "1"\nif 1:\n    down_revision = "0"') == (
        "down_revision is not written as a literal (migrations/versions/a.py, line 2)"
    )


def test_a_syntax_error_in_a_revision_is_told_with_its_place(world: World) -> None:
    found = error(world, a=revision_file("1", "None", "def ("))
    assert found.partition(" (")[2] == "migrations/versions/a.py, line 6)"


def test_a_revision_without_its_parent_is_an_error(world: World) -> None:
    found = error(world, a=revision_file("1", "None"), b=revision_file("3", "'2'"))
    assert found == "Revision 2 referenced from 3 is not present (migrations/versions/b.py)"


def test_a_revision_that_is_there_twice_is_an_error(world: World) -> None:
    found = error(world, a=revision_file("1", "None"), b=revision_file("1", "None"))
    assert found == "Revision 1 is present more than once (migrations/versions/a.py, migrations/versions/b.py)"


def test_revisions_that_follow_each_other_in_a_circle_are_an_error(world: World) -> None:
    found = error(world, a=revision_file("1", "None"), b=revision_file("2", "('1', '3')"), c=revision_file("3", "'2'"))
    assert found == "revisions follow each other in a circle: 2, 3"


def test_a_file_without_a_revision_is_an_error(world: World) -> None:
    assert error(world, helpers=b"x = 1") == "migrations/versions/helpers.py names no revision"
    assert error(world, a=b"revision = 1") == "1 cannot be a revision (migrations/versions/a.py, line 1)"


def test_a_revision_behind_a_symlink_is_an_error_for_it_would_be_missing(world: World) -> None:
    revision = world.commit({"migrations/versions/a.py": "../a.py", "migrations/a.py": revision_file("1", "None")})
    world.update(revision)
    found = world.inspect(revision)
    expected = "migrations/versions/a.py is a symlink, and revisions are not looked for behind one"
    assert found["chain"] == found["target_chain"] == {"error": expected}


def test_a_revision_depends_on_others_by_their_labels_too(world: World) -> None:
    versions = {"a": revision_file("1", "None", "branch_labels = ('side',)"), "b": revision_file("2", "None")}
    found = chains(world, {**versions, "c": revision_file("3", "'2'", "depends_on = 'side'")})[1]
    told = {"revision": "3", "down": ["2"], "depends": ["1"], "doc": "Add 3", "file": "migrations/versions/c.py"}
    assert found["revisions"][-1] == told
    assert sorted(found["heads"]) == ["1", "3"]


@pytest.mark.parametrize(
    ("ini", "place"),
    [
        ("version_locations = app/more", "app/more"),
        ("version_locations = %(here)s/more %(here)s/other", "migrations/other"),
        ("version_locations = %(here)s/more:app/x y\npath_separator = os", "app/x y"),
        ("recursive_version_locations = true", "migrations/versions/2026/spring"),
    ],
    ids=["elsewhere", "several", "separated", "recursive"],
)
def test_revisions_lie_where_alembic_ini_says(world: World, ini: str, place: str) -> None:
    found = chains(world, {"a": revision_file("1", "None")}, f"[alembic]\n{ini}\n", place)
    assert [chain["heads"] for chain in found] == [["1"]] * 2


@pytest.mark.parametrize(
    ("ini", "complaint"),
    [
        ("[alembic]\nversion_locations = ../elsewhere", "version_locations names ../elsewhere, which is no folder"),
        ("[alembic]\nversion_locations = myapp:migrations", "version_locations names myapp:migrations, which is no"),
        ("[alembic]\nversion_locations = a\npath_separator = tab", "path_separator is 'tab'"),
        ("[alembic]\nversion_locations = %(nothing)s", "Bad value substitution"),
        ("version_locations = a", "File contains no section headers."),
    ],
)
def test_a_place_that_cannot_be_understood_is_an_error(world: World, ini: str, complaint: str) -> None:
    found = [chain["error"] for chain in chains(world, {"a": revision_file("1", "None")}, ini)]
    assert [text.startswith(f"migrations/alembic.ini: {complaint}") for text in found] == [True, True]


def test_reading_chains_leaves_nothing_behind(world: World) -> None:
    chains(world, {"a": revision_file("1", "None")})
    assert list(world.app.rglob("*.pyc")) == []


def test_a_missing_folder_of_migrations_is_an_error(world: World) -> None:
    found = world.inspect(world.commit({"a.py": b""}))
    assert found["chain"] == found["target_chain"] == {"error": "there is no folder migrations"}


def test_a_missing_blob_of_a_migration_is_an_error(world: World) -> None:
    revision = world.commit({"migrations/versions/a.py": b"x"})
    facts, *texts = world.done("inspect", world.entries(revision)).decode().splitlines()
    found = with_texts(json.loads(facts), texts)
    assert found["target_chain"] == {"error": "the host did not send migrations/versions/a.py"}


IDS = tuple("abcde")
STYLES = st.sampled_from(["{0} = {1!r}", "{0}: object = {1!r}", "_{0} = {1!r}\n{0} = _{0}"])
DOCS = st.sampled_from(['"""What\nit does."""', '"""\n  One.\n\nMore.\n"""', ""])


@st.composite
def trees(draw: st.DrawFn) -> list[str]:
    """Files of revisions in any style that mostly follow those before them, with one name or several."""
    texts = []
    for number in range(draw(st.integers(1, 5))):
        others = st.sampled_from(draw(st.sampled_from([IDS[:number] or IDS[:1], IDS])))
        some = st.lists(others, max_size=2 if number else 0, unique=True)
        values: dict[str, Any] = {"revision": draw(st.sampled_from([IDS[number]] * 9 + ["a"]))}
        labels = st.sampled_from([[], [], [f"l{number}"], ["l"]])
        for name, names in (("down_revision", some), ("depends_on", some | labels), ("branch_labels", labels)):
            found = draw(names)
            forms: list[Any] = [found, tuple(found), *(found[:1] if len(found) == 1 else [] if found else [None])]
            values[name] = draw(st.sampled_from(forms))
        lines = [draw(STYLES).format(*pair) for pair in draw(st.permutations(list(values.items())))]
        texts.append("\n".join([draw(DOCS), *lines]))
    return texts


def by_alembic(folder: Path) -> Any:
    """What Alembic says of a folder: its heads and revisions, or None for an error."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            script = ScriptDirectory(str(folder))
            revisions = list(script.walk_revisions())
            return script, {
                one.revision: (one._versioned_down_revisions, set(one._resolved_dependencies), one.doc.split("\n")[0])
                for one in revisions
            }
        except Exception:  # noqa: BLE001  (it raises many kinds for a chain that is none)
            return None


def by_us(folder: Path) -> Any:
    found = {str(path.relative_to(folder.parent)).encode(): path.read_bytes() for path in folder.rglob("*.py")}
    entries = {path: Entry("100644", "") for path in found}
    return chain(b"m", Places((b"m/versions",), recursive=False), entries, found.__getitem__)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(trees())
def test_a_chain_is_the_one_that_alembic_sees(tmp_path_factory: pytest.TempPathFactory, texts: list[str]) -> None:
    folder = tmp_path_factory.mktemp("tree") / "m"
    (folder / "versions").mkdir(parents=True)
    for number, text in enumerate(texts):
        (folder / "versions" / f"r{number}.py").write_text(text)
    try:
        ours, complaint = by_us(folder), ""
    except ExpectedError as error:
        ours, complaint = None, str(error)
    # Alembic does not see every circle, and some it follows for ever.
    theirs = None if "circle" in complaint else by_alembic(folder)
    assert (ours is None) == (theirs is None), complaint
    if ours is None or theirs is None:
        return
    script, revisions = theirs
    assert set(ours["heads"]) == set(script.get_heads())
    assert {
        one["revision"]: (tuple(one["down"]), set(one["depends"]), one["doc"]) for one in ours["revisions"]
    } == revisions
