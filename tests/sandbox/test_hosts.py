"""The sandbox of several hosts, on the real stack."""

import pytest
import yaml

from deploy.errors import Exit, Failure
from deploy.sandbox import compose, stack
from deploy.sandbox.command import run
from deploy.sandbox.databases import sql
from deploy.sandbox.git import git
from deploy.sandbox.home import PORT_NAMES, Sandbox
from deploy.sandbox.processes import Process
from tests.sandbox.conftest import run_inv
from tests.sandbox.test_sandbox import leftovers
from tests.texts import as_text

pytestmark = pytest.mark.stack

Hosts = tuple[Sandbox, ...]
SERVER = "SELECT system_identifier FROM pg_control_system()"
# Asked by the app's own way.
ASK = (
    "import os, sqlalchemy; engine = sqlalchemy.create_engine(os.environ['DATABASE_URL']); "
    f"print(engine.connect().scalar(sqlalchemy.text('{SERVER}')))"
)
SHARED = {"POSTGRES_PASSWORD", "SECRET_KEY", "JWT_SECRET_KEY"}


def secrets(sandbox: Sandbox) -> dict[str, str]:
    lines = sandbox.env_file.read_text(encoding="utf-8").splitlines()
    return {key: value for key, _, value in (line.partition("=") for line in lines) if key in SHARED}


def heads(hosts: Hosts) -> list[str]:
    """What each host fetches, by its own SSH."""
    return [run(*stack.ssh_command(one.name), f"git -C {one.path} ls-remote origin main").split()[0] for one in hosts]


def test_each_host_has_ports_keys_and_containers_of_its_own(shared_hosts: Hosts) -> None:
    assert [one.name for one in shared_hosts] == [f"{shared_hosts[0].group}-{number}" for number in (1, 2, 3)]
    ports = [getattr(one, name) for one in shared_hosts for name in PORT_NAMES]
    assert len(set(ports)) == len(ports) == 12
    assert len({(one.ssh / "host_key.pub").read_text(encoding="ascii").split()[1] for one in shared_hosts}) == 3
    for one in shared_hosts:
        status = stack.status(one.name)
        assert status.services == {"postgres": "running", "redis": "running", "whalefall": "running"}
        assert (status.healthy, status.sshd, status.behind) == (True, True, 1)


def test_all_share_the_database_the_origin_and_the_secrets(shared_hosts: Hosts) -> None:
    servers = {compose.in_app(one, "/app/.venv/bin/python", "-c", ASK).strip() for one in shared_hosts}
    assert servers == {sql(shared_hosts[0], SERVER)}
    assert secrets(shared_hosts[0]).keys() == SHARED
    assert [secrets(one) for one in shared_hosts] == [secrets(shared_hosts[0])] * 3
    commit = stack.release(shared_hosts[0].group, "code")
    assert heads(shared_hosts) == [commit] * 3
    assert stack.release(shared_hosts[1].name, "code") == git(shared_hosts[2].origin, "rev-parse", "main")


def test_each_host_is_a_target_and_its_settings_say_what_the_others_say(shared_hosts: Hosts) -> None:
    for one in shared_hosts:
        targets = yaml.safe_load((one.root / "target.yaml").read_text(encoding="utf-8"))["targets"]
        assert list(targets) == [one.name]
        assert targets[one.name]["database"] == {"url": "DATABASE_URL"}
        assert targets[one.name]["backup"] == {"client": shared_hosts[0].database}


def test_what_ails_one_host_ails_no_other(hosts: Hosts) -> None:
    stack.break_(hosts[2].name, "service-stopped")
    stack.break_(hosts[1].name, "dirty")
    assert [stack.status(one.name).services["redis"] for one in hosts] == ["running", "running", "exited"]
    assert [git(one.path, "status", "--porcelain") != "" for one in hosts] == [False, True, False]


def test_an_illness_needs_the_name_of_one_host(shared_hosts: Hosts) -> None:
    with pytest.raises(Failure) as refused:
        stack.break_(shared_hosts[0].group, "dirty")
    told = as_text(refused.value)
    assert (refused.value.code, told.remedy) == (Exit.USAGE, f"one of: {', '.join(one.name for one in shared_hosts)}")


def test_status_tells_each_host(shared_hosts: Hosts) -> None:
    group = shared_hosts[0].group
    told = run_inv("", "sandbox.status", "--name", group).out.splitlines()
    assert [line for line in told if line.startswith(group)] == [one.name for one in shared_hosts]


@pytest.mark.parametrize("wrong", [{"hosts": 2}, {"shape": "january"}, {"hosts": 0}])
def test_a_sandbox_keeps_its_hosts_and_its_shape(shared_hosts: Hosts, wrong: dict[str, object]) -> None:
    with pytest.raises(Failure) as refused:
        stack.up(shared_hosts[0].group, **wrong)  # type: ignore[arg-type]
    assert refused.value.code == Exit.USAGE


def test_up_brings_all_back(hosts: Hosts) -> None:
    run("docker", "stop", "--time", "1", hosts[0].database, hosts[1].app)
    Process.of(int((hosts[2].ssh / "sshd.pid").read_text(encoding="ascii"))).end()  # type: ignore[union-attr]
    assert stack.up(hosts[0].group, shape="today", hosts=3).members == hosts
    for one in hosts:
        compose.wait_until_healthy(one)
        assert stack.status(one.name).sshd


def test_down_with_the_name_of_one_leaves_nothing_of_any(shared_hosts: Hosts) -> None:
    group = shared_hosts[0].group
    assert leftovers(group) != []
    stack.down(shared_hosts[1].name)
    assert leftovers(group) == []
    assert [one for one in shared_hosts if one.root.exists()] == []


def test_several_hosts_have_todays_shape() -> None:
    with pytest.raises(Failure) as refused:
        stack.up("sb-none", shape="celery", hosts=2)
    assert (refused.value.code, as_text(refused.value).remedy) == (Exit.USAGE, "one of: today")
