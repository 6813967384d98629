"""What the tests of the program inside the container begin with."""

from pathlib import Path

import pytest

from tests.inside.world import World


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)
