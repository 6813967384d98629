"""What the discovering script tells of a host: the deployment folder, its containers, and how their ports answer."""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from deploy import answers, inside, remedies, shell
from deploy.discovery.records import RECORDS
from deploy.errors import Exit, Failure
from deploy.message import Told, say, unpack
from deploy.settings import Sections

# By these names app servers are known, the likeliest first.
SERVERS = ("gunicorn", "uwsgi", "waitress-serve", "hypercorn", "uvicorn", "flask")
# What is asked where the app does not tell its own routes.
WELL_KNOWN = ("/health", "/healthz", "/healthcheck", "/ping", "/status", "/api/health", "/ready", "/")


@dataclass(frozen=True)
class Container:
    """A container that Compose made; `folder`, `files` and sources of `mounts` are relative to the deployment folder.

    Of `environment` only what names a database has a value. `inside` is what its own Python told, if it has one.
    """

    name: str
    service: str
    state: str = "running"
    image: str = ""
    identity: str = ""
    folder: str = ""
    files: tuple[str, ...] = ()
    command: tuple[str, ...] = ()
    ports: tuple[str, ...] = ()
    mounts: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    inside: Mapping[str, Any] = field(default_factory=dict)

    @property
    def running(self) -> bool:
        return self.state == "running"


@dataclass(frozen=True)
class Answer:
    """How a published port answered at a path, and who says to have answered."""

    url: str
    path: str
    status: int
    server: str = ""
    body: str = ""


@dataclass(frozen=True)
class Facts:
    """What is known of a deployment; `folders` alone, each with its services, where none was named."""

    folders: Mapping[str, str] = field(default_factory=dict)
    problems: Mapping[str, Told] = field(default_factory=dict)
    branch: str = ""
    remote: str = ""
    upstream: str = ""
    # The repository's folder, where that is another one.
    top: str = ""
    tracked: tuple[str, ...] = ()
    # Those of them, no Python, that upgrade a database.
    upgrading: tuple[str, ...] = ()
    env: str = ""
    env_state: str = ""
    env_keys: tuple[str, ...] = ()
    containers: tuple[Container, ...] = ()
    # Other containers, by the names that those reach them by, and programs on the host that dump databases.
    neighbours: Mapping[str, str] = field(default_factory=dict)
    dumpers: tuple[str, ...] = ()
    answers: tuple[Answer, ...] = ()


def script(path: str, env: str = ".env") -> str:
    """Build the script that tells them; without a path it tells the folders there are."""
    usual = Sections()
    paths = (*usual.app.logs, *usual.clean.caches, *usual.restart.exclusive_files)
    return shell.script(
        "redact.sh",
        "containers.sh",
        "discover.sh",
        path=path,
        env_name=env,
        secret_words=usual.secrets.words,
        secret_keys=(),
        secret_min_length=usual.secrets.min_length,
        record_fields=RECORDS,
        discovering=inside.discovering(),
        discovering_told=json.dumps({"servers": SERVERS, "paths": paths, "paths_of_health": WELL_KNOWN}),
        well_known=WELL_KNOWN,
    )


def parse(answer: str) -> Facts:
    """Read what the script answered."""
    with answers.understood(answer, say("what the host told")):
        return _parse(answer)


def _parse(answer: str) -> Facts:
    rows: dict[str, list[tuple[str, ...]]] = defaultdict(list)
    for kind, *fields in shell.records(answer):
        rows[kind].append(tuple(fields))
    if not rows["end"]:
        raise Failure(say("the host did not tell everything"), remedy=remedies.RUN_AGAIN, code=Exit.FAILED)
    repository = rows["repository"][0] if rows["repository"] else ("", "", "", "")
    env = rows["env"][0] if rows["env"] else ("", "")
    within = {name: _json(told) for name, told in rows["inside"]}
    return Facts(
        folders={row[0]: row[1] for row in rows["folder"]},
        problems={kind: unpack(text) for kind, text in rows["problem"]},
        top=repository[0],
        branch=repository[1],
        remote=repository[2],
        upstream=repository[3],
        tracked=tuple(name for (name,) in rows["tracked"]),
        upgrading=tuple(name for (name,) in rows["upgrading"]),
        env=env[0],
        env_state=env[1],
        env_keys=tuple(dict.fromkeys(key for (key,) in rows["env_key"])),
        containers=tuple(
            _container(row, within.get(row[0], {}), tuple(name for one, name in rows["ignored"] if one == row[0]))
            for row in rows["container"]
        ),
        neighbours=dict(_pairs(rows["neighbour"])),
        dumpers=tuple(name for (name,) in rows["dumper"]),
        answers=tuple(
            Answer(url, path, int(status), server.lower(), body) for url, path, status, server, body in rows["answer"]
        ),
    )


def _container(row: tuple[str, ...], within: Mapping[str, Any], ignored: tuple[str, ...]) -> Container:
    name, service, state, image, identity, folder, *lists = row
    files, command, ports, mounts, environment = (tuple(text.splitlines()) for text in lists)
    return Container(
        name,
        service,
        state,
        image,
        identity,
        folder,
        files,
        command,
        ports,
        dict(list(pairwise(mounts))[::2]),
        {key: value for key, _, value in (variable.partition("=") for variable in environment)},
        ignored,
        within,
    )


def _pairs(rows: Iterable[tuple[str, ...]]) -> Iterator[tuple[str, str]]:
    yield from ((name, value) for name, value in rows)


def _json(told: str) -> dict[str, Any]:
    # Where secrets could not be taken out, all of it was withheld.
    try:
        facts = json.loads(told)
    except ValueError:
        return {}
    return facts if isinstance(facts, dict) else {}
