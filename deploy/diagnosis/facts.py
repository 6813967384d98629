"""What a diagnosis needs beside the state: how containers ended, what runs in them, disks, what browsers get."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

from deploy import remedies, shell
from deploy.diagnosis.records import RECORDS
from deploy.errors import Failure
from deploy.message import NOTHING, Told, say, unpack
from deploy.settings import Settings
from deploy.shell import Variable
from deploy.state import Memory, variables


@dataclass(frozen=True)
class Place:
    """A file system, on the host or in a container; `inodes` that are free, None where they are not counted."""

    container: str
    path: str
    size_mib: int
    free_mib: int
    inodes: int | None


@dataclass(frozen=True)
class Program:
    """A program of a Supervisor's, and what that tells of it."""

    name: str
    state: str
    told: Told = NOTHING


@dataclass(frozen=True)
class Process:
    """A process in a container, with its age and its memory."""

    pid: int
    seconds: int
    kib: int
    command: Told


@dataclass(frozen=True)
class Container:
    """A container of the deployment: how it runs or ended, and what goes on in it. `killed`: for want of memory.

    `nginx` is the status of its `nginx -t`, None where there is no Nginx, or it does not run.
    """

    name: str
    service: str
    status: str
    code: int
    killed: bool
    restarts: int
    health: str
    started: str
    finished: str
    error: Told
    memory: Memory | None = None
    # Of what it printed: what tells the cause best, and the last lines.
    words: Told = NOTHING
    printed: tuple[Told, ...] = ()
    programs: tuple[Program, ...] = ()
    supervisor_problem: Told = NOTHING
    processes: tuple[Process, ...] = ()
    nginx: int | None = None
    nginx_lines: tuple[Told, ...] = ()
    # What its files of app.logs end with, where it does not run.
    logs: Mapping[str, tuple[Told, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class File:
    """A file in the app's container that is served, the path in a URL, and for how many seconds it is as it is."""

    folder: str
    path: str
    sum: str
    seconds: int


@dataclass(frozen=True)
class Sent:
    """What came through a door for a path: status (0: no answer), sum of the content, and what headers say of it."""

    door: str
    path: str
    status: int
    sum: str
    kind: str
    cache_control: str
    expires: str
    date: str
    age: str


@dataclass(frozen=True)
class Facts:
    """What was read; `doors` are the ways in that health checks know, by their names, each with its URL."""

    doors: Mapping[str, str]
    places: tuple[Place, ...] = ()
    compose_problem: Told = NOTHING
    config_problem: Told = NOTHING
    # The version of docker-compose, where only that is there.
    legacy: str = ""
    containers: tuple[Container, ...] = ()
    files: tuple[File, ...] = ()
    sent: tuple[Sent, ...] = ()
    # What the page refers to, by the door that sent it.
    refers: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    # The last runs, the newest first.
    journals: Mapping[str, tuple[Told, ...]] = field(default_factory=dict)


def script(settings: Settings, *, journals: int = 0) -> str:
    """Build the script that reads them, and of so many of the last runs what they told."""
    folders = [word for one in settings.built.values() for word in (f"{settings.app.path}/{one.path}", "")]
    asked: dict[str, Variable] = {"doors": _doors(settings), "folders": folders, "journals": journals}
    asked |= {"record_fields": RECORDS}
    return shell.script("redact.sh", "containers.sh", "diagnose.sh", **{**variables(settings), **asked})


def _doors(settings: Settings) -> tuple[str, ...]:
    """Say of every way in: the name of the first check that knows it, its URL, its Host, and whether it is inside."""
    known = {(check.url, check.host, check.inside): check.name for check in reversed(settings.health.checks)}
    return tuple(word for (url, host, inside), name in known.items() for word in (name, url, host, "1" * inside))


def parse(settings: Settings, answer: str) -> Facts:
    """Read what the script told; Failure where it was cut off."""
    rows = defaultdict[str, list[tuple[str, ...]]](list)
    for kind, *fields in shell.records(answer):
        rows[kind].append(tuple(fields))
    if not rows["end"]:
        last = tuple(map(unpack, answer.rstrip("\n").split("\n")[-1:]))
        raise Failure(say("the host did not tell all that was asked"), evidence=last, remedy=remedies.RUN_AGAIN)

    def text(kind: str) -> Told:
        return unpack(rows[kind][0][0]) if rows[kind] else NOTHING

    doors = _doors(settings)
    refers, journals = defaultdict[str, list[str]](list), defaultdict[str, list[Told]](list)
    for door, _, path in rows["refers"]:
        refers[door].append(path)
    for run, line in rows["journal"]:
        journals[run].append(unpack(line))
    return Facts(
        doors=dict(zip(doors[::4], doors[1::4], strict=True)),
        places=tuple(_place(row) for row in rows["place"]),
        compose_problem=text("compose_problem"),
        config_problem=text("config_problem"),
        legacy=rows["legacy"][0][0] if rows["legacy"] else "",
        containers=tuple(_container(row, rows) for row in rows["container"]),
        files=tuple(File(folder, path, sum, int(seconds)) for folder, path, sum, seconds in rows["file"]),
        sent=tuple(Sent(door, path, int(status), *rest) for door, path, status, *rest in rows["sent"]),
        refers={door: tuple(paths) for door, paths in refers.items()},
        journals={run: tuple(lines) for run, lines in journals.items()},
    )


def _place(row: tuple[str, ...]) -> Place:
    container, path, kib, free, inodes = row
    return Place(container, path, int(kib) // 1024, int(free) // 1024, int(inodes) if inodes else None)


def _container(row: tuple[str, ...], rows: Mapping[str, list[tuple[str, ...]]]) -> Container:
    name, service, status, code, killed, restarts, health, started, finished, error = row

    def of(kind: str) -> list[tuple[str, ...]]:
        return [tuple(fields) for container, *fields in rows.get(kind, ()) if container == name]

    def texts(kind: str) -> tuple[Told, ...]:
        return tuple(unpack(told) for (told,) in of(kind))

    memory = next(iter(of("memory")), None)
    logs = defaultdict[str, list[Told]](list)
    for file, line in of("log"):
        logs[file].append(unpack(line))
    return Container(
        name=name,
        service=service,
        status=status,
        code=int(code),
        killed=bool(killed),
        restarts=int(restarts),
        health=health,
        started=started,
        finished=finished,
        error=unpack(error),
        memory=Memory(int(memory[0]) if memory[0] else None, int(memory[1]), int(memory[2])) if memory else None,
        words=next(iter(texts("words")), NOTHING),
        printed=texts("printed"),
        programs=tuple(Program(program, state, unpack(told)) for program, state, told in of("program")),
        supervisor_problem=next(iter(texts("supervisor_problem")), NOTHING),
        processes=tuple(
            Process(int(pid), int(seconds), int(kib), unpack(command))
            for pid, seconds, kib, command in of("process")
            if pid.isdecimal() and seconds.isdecimal() and kib.isdecimal()
        ),
        nginx=next((int(status) for (status,) in of("nginx")), None),
        nginx_lines=texts("nginx_line"),
        logs={file: tuple(lines) for file, lines in logs.items()},
    )
