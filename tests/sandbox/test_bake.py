"""A release that was baked into an image: what that has, and what it has not."""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from deploy import shell
from deploy.errors import Exit
from deploy.sandbox import compose, stack
from deploy.sandbox.command import run, works
from deploy.sandbox.compose import answer, execute
from deploy.sandbox.git import git
from deploy.sandbox.home import Sandbox
from deploy.sandbox.images import DEBIAN
from tests import leaks, swarm
from tests.bench.client import asking
from tests.faults import engine
from tests.sandbox.conftest import Inv, run_inv
from tests.sandbox.test_celery import eventually
from tests.sshd import free_port
from tests.test_events import document

pytestmark = pytest.mark.stack

# What is no release's: what the app writes, and what is mounted.
ELSE = "-path /app/.venv -prune -o -path /app/userdata -prune -o -path /app/.env -prune -o -name __pycache__ -prune -o"
CODE = f"find /app /etc/supervisor /etc/nginx/templates {ELSE} -type f -exec sha256sum {{}} + | sort -k 2"
SUPERVISED = "/etc/supervisor/conf.d/whalefall.conf"
BUILDS = "built: {frontend: {command: sh frontend/build}}"
SWARM = Path(__file__).resolve().parents[2] / "docs/swarm"
QUICK = """
services:
  app: {healthcheck: {interval: 1s}, deploy: {update_config: {monitor: 1s, delay: 0s}}}
  proxy: {entrypoint: [nginx, -g, "daemon off;"]}
"""
# A registry that is not there: every image is on this machine.
REGISTRY = "127.0.0.1:9"


@dataclass(frozen=True)
class Baked:
    """A release that was baked: what the container was like before and after, and what was said."""

    commit: str
    image: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    code: str
    told: str


@pytest.fixture(scope="module")
def image(shared_today: Sandbox) -> Iterator[str]:
    """The image that the container was made from; both are as before in the end."""
    before = identity(shared_today.image)
    yield before
    run("docker", "tag", before, shared_today.image)
    recreate(shared_today)


@pytest.fixture(scope="module")
def first(shared_today: Sandbox, image: str, tmp_path_factory: pytest.TempPathFactory) -> Baked:
    """A release that changes everything which can be changed, baked by hand."""
    settings = tmp_path_factory.mktemp("first") / "given.yaml"
    settings.write_text(BUILDS, encoding="utf-8")
    for kind in ("deleted-file", "supervisor", "frontend"):
        commit = stack.release(shared_today.name, kind)
    updated = run_inv(shared_today.name, "-f", str(settings), "hot-update", "--yes")
    assert updated.code == 0, updated.text
    lost = run_inv(shared_today.name, "status").out
    assert f"a recreated container loses {commit[:7]}, which {shared_today.image} does not have" in lost
    before, code = looks(shared_today), execute(shared_today.app, "sh", "-c", CODE)
    baked = run_inv(shared_today.name, "bake")
    assert baked.code == 0, baked.text
    return Baked(commit, identity(shared_today.image), before, looks(shared_today), code, baked.out)


@pytest.fixture(scope="module")
def second(shared_today: Sandbox, first: Baked, image: str, tmp_path_factory: pytest.TempPathFactory) -> Baked:
    """The next one: its update could not bake it, since the image had been built anew; by hand, when that was gone."""
    settings = tmp_path_factory.mktemp("second") / "given.yaml"
    settings.write_text("bake: {after_update: true}", encoding="utf-8")
    rebuild(shared_today, image)
    commit = stack.release(shared_today.name, "code")
    updated = run_inv(shared_today.name, "-f", str(settings), "hot-update", "--yes", "--keep-built")
    assert updated.code == 0, updated.text
    run("docker", "tag", first.image, shared_today.image)
    baked = run_inv(shared_today.name, "bake")
    assert baked.code == 0, baked.text
    return Baked(commit, identity(shared_today.image), (), (), "", updated.out)


def rebuild(sandbox: Sandbox, image: str) -> None:
    """Build the image anew, as the standard deployment does."""
    run("docker", "build", "--tag", sandbox.image, "-", stdin=f"FROM {image}\nLABEL built=anew\n")


def identity(name: str) -> str:
    return run("docker", "inspect", "--type", "image", "--format", "{{.Id}}", name).strip()


def bears(sandbox: Sandbox, tag: str) -> str:
    name = f"{sandbox.image.partition(':')[0]}:{tag}"
    return identity(name) if works("docker", "image", "inspect", name) else ""


def recreate(sandbox: Sandbox) -> None:
    compose.compose(sandbox, "up", "--detach", "--no-build")
    compose.wait_until_healthy(sandbox)


def told(image: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("docker", "inspect", "--type", "image", image))[0]
    return found


def config(image: str) -> dict[str, Any]:
    """What a container that is made from it is like."""
    found = told(image)["Config"]
    found["Labels"] = {name: value for name, value in found["Labels"].items() if not name.startswith("hot-update.")}
    return {name: value for name, value in found.items() if value and name not in ("Hostname", "Image")}


def looks(sandbox: Sandbox) -> tuple[str, ...]:
    """What would show that somebody did something in the running container."""
    state = "{{.Id}} {{.State.Pid}} {{.State.StartedAt}} {{.Image}} {{json .Config}}"
    # Its logs grow.
    changed = (line for line in run("docker", "diff", sandbox.app).splitlines() if not re.search("/log|userdata", line))
    ours = execute(sandbox.app, "sh", "-c", "find /var/lib/hot-update -printf '%p %s %T@\\n' | sort")
    return (run("docker", "inspect", "--format", state, sandbox.app), "\n".join(sorted(changed)), ours)


def exported(image: str) -> "subprocess.Popen[bytes]":
    container = run("docker", "create", "--network", "none", image).strip()
    command = f"docker export {container}; docker rm {container} >&2"
    return subprocess.Popen(["sh", "-c", command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)


def files(image: str) -> set[str]:
    """Every file of an image, with its size."""
    with exported(image) as tar:
        listed = subprocess.run(["tar", "-tvf", "-"], stdin=tar.stdout, capture_output=True, text=True, check=True)
    return {re.sub(r"^(\S+) +\S+ +(\S+) +\S+ +\S+ ", r"\1 \2 ", line) for line in listed.stdout.splitlines()}


def secrets_in(image: str, sandbox: Sandbox) -> set[str]:
    """The keys of the secrets that stand anywhere in an image, or in what is said of it."""
    secrets, found, rest = leaks.secrets_of(sandbox.env_file.read_text(encoding="utf-8")), set[str](), b""
    assert len(secrets) > 5
    with exported(image) as tar:
        assert tar.stdout
        while block := tar.stdout.read(1 << 22):
            found |= {key for secret, key in secrets.items() if secret in rest + block}
            rest = block[-100:]
    said = (json.dumps(told(image)) + run("docker", "history", "--no-trunc", image)).encode()
    return found | {key for secret, key in secrets.items() if secret in said}


def status(inv: Inv) -> dict[str, Any]:
    found: dict[str, Any] = document(inv("status", "--json").out)
    return found


def test_nothing_changes_in_the_container_that_runs(first: Baked) -> None:
    assert first.after == first.before
    assert run("docker", "ps", "--all", "--quiet", "--filter", "name=hot-update-bake").strip() == ""


def test_the_image_is_as_before_but_for_the_release(today: Sandbox, first: Baked, image: str) -> None:
    assert (bears(today, first.commit[:12]), bears(today, "before-bake")) == (first.image, image)
    assert config(first.image) == config(image)
    assert secrets_in(first.image, today) == set()
    more = files(first.image) - files(image)
    assert {line for line in more if re.search(r"userdata|/log/|\.env$|\.venv/|__pycache__", line)} == set()
    # Of what is ours no more than what tells of the files.
    ours = {line.rpartition("hot-update/")[2] for line in more if "lib/hot-update/" in line}
    assert ours == {"", "record.json", "built.json", "files.json"}


@pytest.mark.does("bake")
def test_a_container_that_is_recreated_has_the_release(today: Sandbox, inv_today: Inv, first: Baked) -> None:
    recreate(today)
    assert run("docker", "inspect", "--format", "{{.Image}}", today.app).strip() == first.image
    assert execute(today.app, "sh", "-c", CODE) == first.code
    found = status(inv_today)
    assert (found["running"], found["drift"], found["stale_builds"]) == (first.commit, None, [])
    told = found["recreated"]
    assert (told["keeps"], told["images"]) == (True, {today.image: first.commit})
    before = today.image.replace(":prod", ":before-bake")
    assert [(one["name"], one["revision"]) for one in told["tagged"]] == [(today.image, first.commit), (before, None)]
    assert "nothing to do" in inv_today("hot-update", "--yes").out
    assert "bake: nothing to do" in inv_today("bake").out


def test_the_name_of_an_image_is_given_back(
    today: Sandbox, inv_today: Inv, image: str, first: Baked, second: Baked
) -> None:
    assert (bears(today, second.commit[:12]), bears(today, "before-bake")) == (second.image, first.image)
    # Into what was never baked: layers do not pile up.
    assert len(told(second.image)["RootFS"]["Layers"]) == len(told(image)["RootFS"]["Layers"]) + 1
    back = inv_today("bake", "--undo")
    assert (back.code, identity(today.image)) == (0, first.image), back.text
    assert status(inv_today)["recreated"]["keeps"] is False
    again = inv_today("bake", "--undo")
    assert (again.code, "there is no image" in again.err) == (Exit.REFUSED, True)


def test_a_file_with_a_secret_in_it_is_not_baked(today: Sandbox, inv_today: Inv, first: Baked, second: Baked) -> None:
    run("docker", "tag", first.image, today.image)
    kept = execute(today.app, "cat", SUPERVISED)
    secret = next(iter(leaks.secrets_of(today.env_file.read_text(encoding="utf-8")))).decode()
    execute(today.app, "tee", SUPERVISED, stdin=f"{kept}; {secret}\n")
    refused = inv_today("bake")
    execute(today.app, "tee", SUPERVISED, stdin=kept)
    assert refused.code == Exit.REFUSED, refused.text
    assert f"{SUPERVISED} in {today.app} has a secret of {today.env_file} in it" in refused.err


def test_an_image_that_was_built_since_keeps_its_name_and_the_update_is_no_failure(
    today: Sandbox, second: Baked
) -> None:
    told = f"! not baked: bake: {today.image} is another image than that which {today.app} runs"
    assert told in second.told
    assert f"up -d {today.shape.app}" in second.told.partition(told)[2]


@pytest.mark.deep
def test_a_baked_image_rolls_through_a_swarm_without_a_failed_request_and_an_ill_one_is_taken_back(
    today: Sandbox, first: Baked, second: Baked, tmp_path: Path
) -> None:
    one, two, ill = (f"{REGISTRY}/shop:{name}" for name in (first.commit[:12], second.commit[:12], "ill"))
    run("docker", "tag", first.image, one)
    run("docker", "tag", second.image, two)
    run("docker", "build", "--tag", ill, "-", stdin=f"FROM {two}\nRUN echo 'raise SystemError' >/app/app/release.py\n")
    environment = "SECRET_KEY=x\nDATABASE_URL=postgresql+psycopg2://x@localhost/x\nREDIS_URL=redis://localhost\n"
    (tmp_path / "app.env").write_text(environment, encoding="ascii")
    # A proxy that comes with the app's image is one image less to bring over.
    (tmp_path / "quick.yml").write_text(QUICK, encoding="ascii")
    port, number = free_port(), git(today.origin, "rev-list", "--count", second.commit)
    page = f"<p>release {number}</p>"
    values = {"APP_IMAGE": one, "PROXY_IMAGE": one, "APP_ENV": str(tmp_path / "app.env"), "HTTP_PORT": str(port)}
    with engine.second_with(one, two, ill), swarm.swarm():
        swarm.deploy("shop", (SWARM / "stack.yml", tmp_path / "quick.yml"), values)
        assert eventually(lambda: answer(port, "/old/")[0] == 200 and len(swarm.running("shop_app")) == 2)
        with asking({"proxy": f"{port}/old/"}, 20) as requests:
            assert swarm.update("shop_app", two) == two
            assert set(swarm.running("shop_app")) == {two}
            # For a second the proxy still knows one that is leaving.
            assert eventually(lambda: page in answer(port, "/old/")[1])
            # It is not waited for as long as for one that only boots.
            assert swarm.update("shop_app", ill, "--health-retries", "2") == two
        assert set(swarm.running("shop_app")) == {two}
        assert (len(requests) > 100, [request for request in requests if not request.good]) == (True, [])
        assert page in answer(port, "/old/")[1]
    run("docker", "rmi", one, two, ill)


def test_old_baked_images_go_unless_something_uses_them(docker: None) -> None:
    """What is in use, what has another name and what is not ours stays, whatever its tag."""
    name = f"baked-{os.getpid()}"
    tags = [f"{name}:{number:012x}" for number in range(6)]
    for number, tag in enumerate(tags):
        label = "hot-update.baked=x" if number != 2 else "other=x"
        # Their age is known in seconds.
        time.sleep(1 if number == 5 else 0)
        run("docker", "build", "--tag", tag, "-", stdin=f"FROM {DEBIAN}\nLABEL {label} number={number}\nCMD true\n")
    container = run("docker", "create", tags[0]).strip()
    run("docker", "tag", tags[1], f"{name}:kept")
    sources = ("containers.sh", "images.sh", "steps/name.sh")
    given = {"names": [f"{name}:prod"], "repositories": [name], "tags": [tags[5]]}
    script = shell.script(*sources, path="/", container="none", revision="x", keep=1, **given)
    try:
        run("bash", "-euo", "pipefail", "-c", script)
        left = {f"{name}:{tag}" for tag in run("docker", "images", "--format", "{{.Tag}}", name).split()}
        assert left == {f"{name}:prod", f"{name}:kept", tags[0], tags[1], tags[2], tags[5]}
    finally:
        run("docker", "rm", container)
        run("docker", "rmi", *left)
