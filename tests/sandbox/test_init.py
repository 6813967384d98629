"""inv init on real deployments: the file that it writes does unedited, and nothing on the host is changed."""

from pathlib import Path

import pytest

from deploy.sandbox.home import Sandbox
from tests.sandbox.adopting import works
from tests.sandbox.conftest import Inv

pytestmark = pytest.mark.stack


@pytest.mark.does("GIVE_PATH", "accept_key", "give_path")
def test_whalefall_comes_out_as_target_containers_and_ports(bare: Inv, today: Sandbox, tmp_path: Path) -> None:
    assert works(bare, today, tmp_path) == [
        *("targets.prod", "ssh.identity", "ssh.known_hosts", "app.container", "app.image"),
        *("database.container", "redis.container", "health.checks"),
    ]
