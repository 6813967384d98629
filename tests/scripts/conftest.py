"""What the tests of the harness share."""

from pathlib import Path

import pytest

from tests.scripts.runner import Clone, make_clone


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return make_clone(tmp_path / "clone")
