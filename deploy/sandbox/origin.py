"""The history of the app up to the release that production runs, in a bare repository."""

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from deploy.sandbox.git import commit, git
from deploy.sandbox.home import Sandbox
from deploy.sandbox.shape import APP, Shape

# Names that would have a meaning for git or Docker in our own repository.
DOTTED = {"gitignore": ".gitignore", "dockerignore": ".dockerignore"}
FEATURES = "app/features"
VERSIONS = "migrations/versions"
HEALTH = "app/health.py"
ROUTE, OLD_ROUTE = '/health"', '/health/health"'
# Marks the release that production starts with; a fetch of branches and tags leaves it out.
DEPLOYED = "refs/sandbox/deployed"
# 1,150 files of 17 KB: with the app about as many files and bytes as the real repository has.
ASSETS, ASSET_BYTES = 960, 17_000
PAGES, LEGACY_MODULES = 150, 40


@dataclass(frozen=True)
class Release:
    """A release of the past: what was done to the tree of the one before."""

    date: str
    subject: str
    change: Callable[[Path], None]


def create(sandbox: Sandbox) -> None:
    """Make the bare repository and the developer's clone, with everything that production runs."""
    git(sandbox.root, "init", "--quiet", "--bare", "--initial-branch=main", sandbox.origin)
    git(sandbox.root, "init", "--quiet", "--initial-branch=main", sandbox.developer)
    git(sandbox.developer, "remote", "add", "origin", sandbox.origin)
    _copy(sandbox.shape, sandbox.developer)
    for number, release in enumerate(HISTORY, start=1):
        release.change(sandbox.developer)
        stamp(sandbox.developer, number)
        commit(sandbox.developer, release.subject, date=f"{release.date}T10:00:00+0800")
    git(sandbox.developer, "push", "--quiet", "--set-upstream", "origin", "main")
    git(sandbox.origin, "update-ref", DEPLOYED, "main")


def stamp(tree: Path, number: int) -> None:
    """Write the number of a release where the page and the static file show it."""
    (tree / "app/release.py").write_text(f'"""The number of this release."""\n\nRELEASE = {number}\n', encoding="utf-8")
    (tree / "app/static/release.txt").write_text(f"release {number}\n", encoding="utf-8")


def _copy(shape: Shape, tree: Path) -> None:
    """Copy the app's files, without the migrations of later releases."""
    later = [path.name for path in (APP / VERSIONS).glob("*.py") if path.name > "20251220"]
    for sources in shape.sources:
        shutil.copytree(sources, tree, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__", *later))
    for plain, dotted in DOTTED.items():
        (tree / plain).rename(tree / dotted)


def _first(tree: Path) -> None:
    _replace(tree / HEALTH, ROUTE, OLD_ROUTE)
    (tree / "scripts/health.sh").chmod(0o755)
    _fill(tree)


def _migrate(*names: str) -> Callable[[Path], None]:
    def add(tree: Path) -> None:
        for name in names:
            shutil.copy(APP / VERSIONS / name, tree / VERSIONS / name)

    return add


def _tidy(tree: Path) -> None:
    """Delete and rename, so that the history knows paths that the releases of today don't have."""
    for number in range(3):
        (tree / f"docs/archive/page-{number:03}.md").unlink()
    (tree / "docs/archive/page-003.md").rename(tree / "docs/archive/moved-page-003.md")
    (tree / "app/legacy/report_00.py").unlink()


def _move_route(tree: Path) -> None:
    _replace(tree / HEALTH, OLD_ROUTE, ROUTE)


def _replace(path: Path, old: str, new: str) -> None:
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def _fill(tree: Path) -> None:
    """Add what makes the repository as large as the real one; the same bytes each time."""
    chance = Random(20251219)
    for number in range(ASSETS):
        suffix = "bin" if number % 4 == 0 else "js"
        content = chance.randbytes(ASSET_BYTES) if suffix == "bin" else _text(chance, ASSET_BYTES)
        _write(tree / f"app/static/assets/{number % 12:02}/asset-{number:04}.{suffix}", content)
    for number in range(PAGES):
        _write(tree / f"docs/archive/page-{number:03}.md", _text(chance, ASSET_BYTES))
    for number in range(LEGACY_MODULES):
        _write(tree / f"app/legacy/report_{number:02}.py", f"NUMBER = {number}\n".encode())
    _write(tree / "app/legacy/__init__.py", b"")
    _write(tree / "docs/release notes.txt", b"What changed, release by release.\n")
    _write(tree / "docs/操作手册.md", "# 操作手册\n".encode())
    _write(tree / "app/static/logo.png", b"\x89PNG\r\n\x1a\n\x00\xff" + chance.randbytes(2000))
    (tree / "docs/手册.md").symlink_to("操作手册.md")


def _text(chance: Random, size: int) -> bytes:
    return chance.randbytes(size // 2).hex("\n", 40).encode()[:size]


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)


HISTORY = (
    Release("2025-12-19", "Release to production", _first),
    Release(
        "2025-12-24",
        "Clean up credentials and aggregations",
        _migrate("20251224120000_drop_credential_instance_ids.py", "20251224134000_aggregations_with_time_zone.py"),
    ),
    Release("2025-12-28", "Tidy the archive", _tidy),
    Release("2026-01-07", "Move the health check", _move_route),
    Release("2026-01-08", "Tag instances", _migrate("20260108093000_instance_tags.py")),
)
