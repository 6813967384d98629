"""An update that is watched from outside, and how often it waits for the host."""

import json
import re
from pathlib import Path

import pytest
import yaml

from deploy.sandbox import stack
from deploy.sandbox.home import Sandbox
from tests.sandbox.conftest import Inv
from tests.turns import counted

pytestmark = pytest.mark.stack

# TCP's own handshake passes the counting by. Connecting takes four more, and a script three: channel, shell, answer.
CONNECT, SCRIPT = 4, 3


def test_no_request_fails_and_what_the_probe_met_is_told_and_stands_in_the_history(sandbox: Sandbox, inv: Inv) -> None:
    stack.release(sandbox.name, "code")
    ended = inv("hot-update", "--yes", "--probe")
    assert ended.code == 0, ended.text
    (told,) = re.findall(
        r"^probe: (\d+) of (\d+) requests failed, longest gap .* s, slowest request .* s$", ended.out, re.M
    )
    past = json.loads(inv("history", "--json").out)[-1]["probe"]
    assert (past["failed"], past["requests"]) == tuple(map(int, told))
    assert (past["failed"], past["requests"] > 0) == (0, True)
    assert f"probe: {told[0]} of {told[1]} requests failed" in inv("history").out


def test_an_update_without_a_probe_has_none_in_the_history(sandbox: Sandbox, inv: Inv) -> None:
    stack.release(sandbox.name, "code")
    ended = inv("hot-update", "--yes")
    assert (ended.code, "probe:" in ended.text) == (0, False), ended.text
    assert json.loads(inv("history", "--json").out)[-1]["probe"] is None


def test_with_nothing_to_do_an_update_waits_for_the_host_as_often_as_for_one_script(
    sandbox: Sandbox, inv: Inv, tmp_path: Path
) -> None:
    assert inv("hot-update", "--yes").code == 0
    with counted(sandbox.ssh_port) as turns:
        known = sandbox.known_hosts.read_text(encoding="utf-8").replace(f":{sandbox.ssh_port} ", f":{turns.port} ")
        (tmp_path / "known_hosts").write_text(known, encoding="utf-8")
        own = {
            "host": f"{sandbox.user}@127.0.0.1:{turns.port}",
            "ssh": {"known_hosts": str(tmp_path / "known_hosts")},
        }
        distant = tmp_path / "distant.yaml"
        distant.write_text(yaml.safe_dump({"targets": {sandbox.name: own}}), encoding="utf-8")
        ended = inv("-f", str(distant), "hot-update", "--yes")
    assert (ended.code, "nothing to do" in ended.out) == (0, True), ended.text
    # The health checks are asked meanwhile: a channel and a request for each path.
    paths = 2
    assert turns.count <= CONNECT + SCRIPT + 2 * paths
