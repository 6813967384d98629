"""What a refusal, a failure or a warning gives as its way out is done here, as it is told, and leads out.

`WAYS` has them by the names that they have in deploy/remedies.py; what other tests do is marked there as done
(pytest.mark.does), and tests/test_remedies.py finds what nobody does.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from deploy.sandbox import stack
from deploy.sandbox.command import run
from deploy.sandbox.compose import replicas
from deploy.sandbox.databases import sql
from deploy.sandbox.home import Sandbox
from tests.sandbox.conftest import Inv, SettingsFile

pytestmark = pytest.mark.stack

# Where a command ends and the words around it go on; a dot or a colon may be the command's own.
END = r"(?=; |, |\) |\)$| (?:lists|names|shows|makes|goes|brings|follows|finishes|tells)\b|$)"
ON_HOST = re.compile(rf"on the host: (.+?){END}")
INV = re.compile(rf"\binv (.+?){END}")
FLAG = re.compile(r"give (--[a-z-]+)")
BACKEND = re.compile(r"\(psql: (.+?\))\)")
Cause = Callable[[Sandbox], None]


def nothing(sandbox: Sandbox) -> None:
    """What ails the verb is how it is called."""


def released(kind: str) -> Cause:
    """Have a release of this kind wait."""

    def publish(sandbox: Sandbox) -> None:
        stack.release(sandbox.name, kind)

    return publish


def broken(kind: str) -> Cause:
    """Have production ill in this way."""

    def fall_ill(sandbox: Sandbox) -> None:
        stack.break_(sandbox.name, kind)

    return fall_ill


def locked_index(sandbox: Sandbox) -> None:
    (sandbox.path / ".git/index.lock").touch()


def paused_service(sandbox: Sandbox) -> None:
    run("docker", "pause", sandbox.redis)


def removed_service(sandbox: Sandbox) -> None:
    run("docker", "rm", "--force", sandbox.redis)


def held_table(sandbox: Sandbox) -> None:
    stack.release(sandbox.name, "migration")
    stack.break_(sandbox.name, "idle-transaction")


def paused_replica(sandbox: Sandbox) -> None:
    stack.break_(sandbox.name, "replica")
    run("docker", "pause", *replicas(sandbox))


def half_migrated(sandbox: Sandbox) -> None:
    stack.release(sandbox.name, "half-migration")


@dataclass(frozen=True)
class Way:
    """A remedy, what makes a verb tell it, that verb, and the settings that it has: %s in them is the sandbox's name.

    Once it has been followed the verb does what it is for; `looks`: what is told is where to look, and that is there.
    """

    remedy: str
    cause: Cause
    verb: str = "hot-update --yes"
    settings: str = ""
    looks: bool = False
    # What is to be done by hand before.
    first: Cause = nothing

    def __str__(self) -> str:
        return f"{self.remedy} of {self.verb.split()[0]}"


BY_URL = "database: {service: '', container: '', url: DATABASE_URL}"
WAYS = (
    Way("remove_index_lock", locked_index, verb="preflight"),
    Way("start_container", broken("service-stopped"), verb="preflight"),
    Way("start_container", paused_service, verb="preflight"),
    Way("make_container", removed_service, verb="preflight"),
    Way("start_service", removed_service, verb="preflight", settings="redis: none, compose: {needs: [redis]}"),
    Way("see_database", broken("database-down"), verb="preflight", looks=True),
    Way("rebuild_or_allow", released("dependency")),
    Way("GIVE_YES", released("code"), verb="hot-update"),
    Way("NAME_CLIENT", released("migration"), settings=BY_URL),
    Way("end_session", held_table, settings="migrate: {lock_timeout: 1}"),
    Way("restore_dump", half_migrated, settings="undo: {database: keep}", looks=True),
    Way("cure", released("unhealthy"), settings="health: {timeout: 3}", first=released("code")),
    Way("look", broken("crash-loop"), verb="health", looks=True),
    Way("make_dump", nothing, verb="restore --yes", settings="backup: {dir: /tmp/no-dumps-of-%s}"),
    Way("stop_containers", paused_replica, verb="preflight"),
    Way("list_migrations", nothing, verb="migrate --stamp nope", looks=True),
    Way("list_releases", nothing, verb="rollback --to nope --yes", looks=True),
)


@pytest.mark.parametrize("way", WAYS, ids=map(str, WAYS))
def test_what_is_told_as_the_way_out_leads_out(sandbox: Sandbox, inv: Inv, given: SettingsFile, way: Way) -> None:
    settings = given(f"targets: {{{sandbox.name}: {{{way.settings.replace('%s', sandbox.name)}}}}}\n")
    way.cause(sandbox)
    ended = inv(*settings, *way.verb.split())
    assert ended.code != 0, ended.text
    told = ended.err.rpartition("→ ")[2].rstrip()
    way.first(sandbox)
    flags = FLAG.findall(told)
    done = 0 if flags else follow(sandbox, inv, settings, told)
    assert flags or done, told
    if not way.looks:
        again = inv(*settings, *way.verb.split(), *flags[:1])
        assert again.code == 0, again.text


def follow(sandbox: Sandbox, inv: Inv, settings: tuple[str, str], told: str) -> int:
    """Do what is told, each command as it stands there; return how many there were."""
    on_host, ours, backends = ON_HOST.findall(told), INV.findall(told), BACKEND.findall(told)
    for command in on_host:
        run("sh", "-ec", command)
    for command in ours:
        words = command.removesuffix(f" --target {sandbox.name}").split()
        assert len(words) == len(command.split()) - 2, f"without its target: {command}"
        agreed = ["--yes"] if words[0] in ("restore", "hot-update", "rollback") and "--list" not in words else []
        ended = inv(*settings, *words, *agreed)
        assert ended.code == 0, ended.text
    for statement in backends:
        sql(sandbox, statement)
    return len(on_host) + len(ours) + len(backends)
