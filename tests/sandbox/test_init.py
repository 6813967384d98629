"""inv init on real deployments: the file that it writes does unedited, and nothing on the host is changed."""

from pathlib import Path

import pytest

from deploy.sandbox.home import Sandbox
from tests.sandbox.adopting import works
from tests.sandbox.conftest import Inv

pytestmark = pytest.mark.stack


def test_whalefall_comes_out_as_target_containers_and_ports(bare: Inv, today: Sandbox, tmp_path: Path) -> None:
    assert works(bare, today, tmp_path) == [
        *("targets.prod", "ssh.identity", "ssh.known_hosts", "app.container", "app.image"),
        *("database.container", "redis.container", "health.checks"),
    ]


@pytest.mark.does("GIVE_PATH", "accept_key", "give_path")
def test_an_app_of_another_layout_is_updated_with_the_file_as_it_was_written(
    bare: Inv, celery: Sandbox, tmp_path: Path
) -> None:
    assert "also.celery_worker" in works(bare, celery, tmp_path)
    file = tmp_path / "invoke.yaml"
    file.write_text(file.read_text(encoding="utf-8").replace("user: shop", "user: other"))
    drifted = bare("init", "--check")
    assert drifted.code == 3
    assert "database.user: other, but found is shop" in drifted.out
