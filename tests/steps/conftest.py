"""The site that the scripts of the host are run on."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.steps.site import Site, make


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make(tmp_path_factory.mktemp("template")).root


@pytest.fixture
def site(template: Path, tmp_path: Path) -> Site:
    shutil.copytree(template, tmp_path, dirs_exist_ok=True)
    return Site(tmp_path)


@pytest.fixture
def foreign() -> Iterator[Site]:
    if os.geteuid() != 0:
        pytest.skip("only root can work as the clone's owner")
    root = Path(tempfile.mkdtemp())
    root.chmod(0o755)
    site = make(root)
    yield site
    shutil.rmtree(root)
