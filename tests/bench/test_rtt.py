"""How the distance is counted, and how the sandbox's host is reached through the proxy."""

from pathlib import Path

import yaml

from deploy.sandbox.home import Sandbox
from deploy.sandbox.shape import JANUARY
from tests.bench.rtt import round_trips, through


def test_what_the_distance_added_is_counted_in_round_trips() -> None:
    row = round_trips("rtt100", 5.0, 6.5, 3)
    assert (row.ours_s, row.script_s, row.wall_ratio, row.runs) == (1.5, 0.1, 15, 3)


def test_through_the_proxy_the_host_has_the_proxys_port_and_its_own_key(tmp_path: Path) -> None:
    sandbox = Sandbox(
        "near", tmp_path, ssh_port=20001, http_port=20002, https_port=20003, app_port=20004, shape=JANUARY
    )
    sandbox.ssh.mkdir()
    sandbox.known_hosts.write_text("[127.0.0.1]:20001 ssh-ed25519 AAAA\n")
    with through(sandbox, 20005) as file:
        target = yaml.safe_load(file.read_text())["targets"]["near"]
        assert target["host"] == f"{sandbox.user}@127.0.0.1:20005"
        assert Path(target["ssh"]["known_hosts"]).read_text() == "[127.0.0.1]:20005 ssh-ed25519 AAAA\n"
