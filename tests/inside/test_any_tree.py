"""Any tree: whatever releases hold, a copy of each is complete, loses nothing, can be undone, and staged again."""

import contextlib
import os
import tempfile
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.inside.world import World, lay, tree

NAMES = st.sampled_from([b"a", b"b", b"c.py", b"\xe6\x96\x87", b"x y", b"n\nl", b"\xff\xfe", b"-q", b"'\"$"])
PATHS = st.lists(NAMES, min_size=1, max_size=3).map(b"/".join)
CONTENTS = st.one_of(st.binary(max_size=8), st.sampled_from(["a", "../b", "/nonexistent"]))


def fitting(files: dict[bytes, tuple[bytes | str, bool]]) -> dict[str | bytes, bytes | str]:
    """Leave out files whose path another one needs for a folder, and make some executable."""
    tops = {b"/".join(path.split(b"/")[:depth]) for path in files for depth in range(1, path.count(b"/") + 1)}
    return {
        path + b"*" * (executable and isinstance(content, bytes)): content
        for path, (content, executable) in files.items()
        if path not in tops
    }


TREES = st.dictionaries(PATHS, st.tuples(CONTENTS, st.booleans()), min_size=1, max_size=6).map(fitting)


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(first=TREES, second=TREES, there=TREES)
def test_after_any_copy_the_app_equals_the_commit_and_what_git_never_knew_is_kept_or_saved(
    first: dict[str | bytes, bytes | str],
    second: dict[str | bytes, bytes | str],
    there: dict[str | bytes, bytes | str],
) -> None:
    with tempfile.TemporaryDirectory() as place:
        world = World(Path(place))
        for name, content in there.items():
            lay(world.app, name, content)
        untouched = {b"untracked/" + os.fsencode(name): content for name, content in there.items()}
        for name, content in untouched.items():
            lay(world.app, name, content)
        before = tree(world.app)
        saved: dict[str, bytes | str] = {}
        for release in (first, second):
            world.empty()
            world.update(world.commit(release))
            saved.update(world.saved)
            after = tree(world.app)
            assert {os.fsdecode(name): content for name, content in release.items()}.items() <= after.items()
            assert {os.fsdecode(name): content for name, content in untouched.items()}.items() <= after.items()
        # To git a link's target is a content like any other.
        known = {os.fsencode(content) for release in (first, second) for content in release.values()}
        for name, content in before.items():
            assert after.get(name) == content or saved.get(name.rstrip("*")) == content or os.fsencode(content) in known
        wanted = {os.fsdecode(name).rstrip("*") for name in second}
        gone = {os.fsdecode(name).rstrip("*") for name in first} - wanted
        assert not gone & {name.rstrip("*") for name in after}


@settings(
    max_examples=3,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
)
@given(history=st.lists(TREES, min_size=2, max_size=3), there=TREES, data=st.data())
def test_any_copy_can_be_undone_and_any_release_gone_back_to(
    history: list[dict[str | bytes, bytes | str]], there: dict[str | bytes, bytes | str], data: st.DataObject
) -> None:
    with tempfile.TemporaryDirectory() as place:
        world = World(Path(place))
        for name, content in there.items():
            lay(world.app, b"untracked/" + os.fsencode(name), content)
        releases: list[tuple[str, dict[str, bytes | str]]] = []
        for files in history:
            world.empty()
            releases.append((world.commit(files), {os.fsdecode(name): content for name, content in files.items()}))
        kept = tree(world.app)
        for revision, wanted in data.draw(st.permutations(releases)):
            before, record = tree(world.app), (world.record / "record.json").exists() and world.recorded()
            world.update(revision)
            world.done("undo")
            assert tree(world.app) == before
            assert ((world.record / "record.json").exists() and world.recorded()) == record
            world.update(revision)
            # What git never knew goes only where a release needs its place, and is saved then.
            assert wanted.items() <= tree(world.app).items()
            assert {name for name in kept if name.startswith("untracked/")} <= set(tree(world.app))


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(releases=st.tuples(TREES, TREES), there=TREES, left=TREES, changed=TREES)
def test_a_stage_over_any_other_is_as_one_over_none(
    releases: tuple[dict[str | bytes, bytes | str], ...],
    there: dict[str | bytes, bytes | str],
    left: dict[str | bytes, bytes | str],
    changed: dict[str | bytes, bytes | str],
) -> None:
    with tempfile.TemporaryDirectory() as place:
        world = World(Path(place))
        lay_over(world.app, there)
        for release in releases:
            world.empty()
            revision = world.commit(release)
            kept = world.stage_whole(revision)
            world.done("discard")
            assert kept == world.stage_whole(revision)
            world.done("apply", revision=revision)
            lay_over(world.record / "tree", left)
            lay_over(world.app, changed)


def lay_over(folder: Path, files: dict[str | bytes, bytes | str]) -> None:
    """Lay files over others, where these do not keep them out."""
    for name, content in files.items():
        with contextlib.suppress(OSError):
            (folder / os.fsdecode(name).rstrip("*")).unlink(missing_ok=True)
            lay(folder, name, content)
