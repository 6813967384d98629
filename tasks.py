"""The verbs: inv --list shows them, inv --help VERB explains one.

Everything else is imported where it is used, so that listing and help are instant.
"""

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import wraps
from inspect import Parameter, signature
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

from invoke.collection import Collection
from invoke.context import Context
from invoke.exceptions import Exit as InvokeExit
from invoke.tasks import task

from deploy import cli, language

if TYPE_CHECKING:
    from deploy.message import Told
    from deploy.plan import Options
    from deploy.verbs.hosts import Hosts
    from deploy.verbs.session import Session

PROJECT = Path(__file__).resolve().parent
_ARGUMENTS = dict(zip(sys.argv, sys.argv[1:], strict=False))
# The settings file that is named on the command line, as far as that is known before Invoke reads it.
GIVEN = _ARGUMENTS.get("-f") or _ARGUMENTS.get("--config")
language.begin(PROJECT / "invoke.yaml", *([Path(GIVEN)] if GIVEN else []))
cli.take_over(PROJECT, Path(GIVEN) if GIVEN else None)
TARGET = "the target of invoke.yaml to work on, or a group of them (default: default_target)"
ONLY = "of a group these targets alone: NAME, or NAME,NAME"
SKIP = "leave out hosts of a group that cannot be reached"
DISCARD = "discard uncommitted changes and unpushed commits on the host, after saving them under a ref"
NO_BACKUP = "do not dump the database before it is migrated"
WAIT = "where another run holds the lock, wait until it has ended, or for so many seconds; says for whom"
COMMANDS = "with --dry-run: print the scripts of the steps too, as the host would run them"
EVENTS = "tell events instead, a JSON object a line (deploy/events.schema.json)"
ALLOW = "update although dependencies, image or start-up files changed"


def unreadable_settings(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """Tell what is wrong with a settings file that Invoke itself stumbles over, before any task runs.

    Of a Python that lacks a package nothing else can tell.
    """
    if cli.tell_missing(error):
        return
    import traceback

    from invoke.config import AmbiguousMergeError

    from deploy import remedies, settings
    from deploy.errors import Exit, Failure
    from deploy.message import say
    from deploy.report import Report

    if not any(Path(frame.filename).match("invoke/config.py") for frame in traceback.extract_tb(trace)):
        sys.__excepthook__(kind, error, trace)
        return
    try:
        settings.load(project=PROJECT, extra=Path(GIVEN) if GIVEN else None)
    except Failure as failure:
        # It has no evidence where only the default target, which may not be meant, has no host yet.
        if failure.evidence or not isinstance(error, AmbiguousMergeError):
            Report().failure(failure)
            raise SystemExit(failure.code) from None
    if isinstance(error, AmbiguousMergeError):
        fact = say("what -f FILE says is a section in one file and none in the other, which Invoke cannot merge")
        Report().failure(Failure(fact, remedy=remedies.SAY_FOR_TARGET))
        raise SystemExit(Exit.USAGE) from None
    sys.__excepthook__(kind, error, trace)


sys.excepthook = unreadable_settings


def verb(**help_texts: str) -> Callable[[Callable[..., None]], Any]:
    """Make a task of a function: no invented short flags, and every failure is one block and its exit code.

    A verb for hosts, unless its --json prints a document of its own, has one that tells events.
    """

    def decorate(body: Callable[..., None]) -> Any:
        given = signature(body)
        streams = "json" not in given.parameters and ("only" in given.parameters or body.__name__ in ("init", "doctor"))

        @wraps(body)
        def run(c: Context, *arguments: Any, **options: Any) -> None:
            from deploy import output
            from deploy.errors import Exit, Failure

            if streams and options.pop("json", False):
                from deploy import report
                from deploy.events import Events

                report.want(Events)
            output.forgive()
            try:
                body(c, *arguments, **options)
            except Failure as failure:
                from deploy import report

                report.new().failure(failure)
                raise InvokeExit(code=failure.code) from None
            except KeyboardInterrupt:
                from deploy import report
                from deploy.message import say

                report.new().error_line(say("interrupted"))
                raise InvokeExit(code=Exit.INTERRUPTED) from None

        if streams:
            json = Parameter("json", Parameter.POSITIONAL_OR_KEYWORD, default=False)
            run.__signature__ = given.replace(parameters=[*given.parameters.values(), json])  # type: ignore[attr-defined]
            help_texts["json"] = EVENTS
        # A probe may be told what to ask, a wait how long it may be, and several settings may be given.
        names = {"optional": ("probe", "wait"), "iterable": ("set",)}
        run.__doc__ = language.help_text(body.__doc__ or "")
        told = {flag: language.help_text(help_text) for flag, help_text in help_texts.items()}
        return task(run, name=body.__name__.rstrip("_"), auto_shortflags=False, help=told, **names)

    return decorate


@contextmanager
def session(
    c: Context, target: str, only: str = "", given: "Mapping[str, object] | None" = None
) -> "Iterator[Session | Hosts]":
    """Connect to the target, or to the hosts of a group, with their settings and those given on the command line."""
    from deploy import host, output, settings
    from deploy.message import say
    from deploy.verbs.hosts import Asked, Hosts
    from deploy.verbs.session import Session

    members = tuple(filter(None, only.split(",")))
    chosen = settings.choose(
        project=PROJECT, extra=runtime_file(c), target=target or None, only=members, overrides=given
    )
    # Asked once, also where a lost connection is opened again.
    asked = Asked(_secret) if output.can_ask() else None

    def connect(to: settings.Settings) -> host.Host:
        if not chosen.group or not asked:
            return host.connect(to.target, to.ssh, ask=asked)
        return host.connect(
            to.target,
            to.ssh,
            ask=lambda question: asked(say("%s: %s", to.target.name, question)),
            # The password for sudo is taken to be the same on all.
            ask_once=lambda question: asked(say("sudo password for the hosts of %s: ", chosen.name)),
        )

    one = chosen.targets[0]
    made = Hosts(chosen, connect) if chosen.group else Session(one, lambda: connect(one))
    try:
        yield made
    finally:
        made.close()


def work(
    c: Context,
    target: str,
    only: str,
    one: "Callable[[Session], None]",
    many: "Callable[[Hosts], None] | None" = None,
    given: "Mapping[str, object] | None" = None,
) -> None:
    """Do what a verb does with one host, or with the many of a group: by default the same, with one after the other."""
    with session(c, target, only, given) as s:
        from deploy.verbs.session import Session

        if isinstance(s, Session):
            one(s)
        elif many:
            many(s)
        else:
            from deploy.verbs import groups

            groups.in_each(s, one)


def step(c: Context, target: str, only: str, wait: str, verb: str, options: "Options") -> None:
    """Carry out one verb alone, when it is its turn."""
    from deploy.verbs import group_update, update

    work(
        c,
        target,
        only,
        lambda s: s.in_turn(wait, lambda: update.run_step(s, verb, options)),
        lambda h: h.in_turn(wait, lambda: group_update.run_step(h, verb, options)),
    )


def _secret(question: "Told") -> str:
    from deploy.report import Report

    return Report().secret(question)


def runtime_file(c: Context) -> Path | None:
    """The file given with inv -f; Invoke itself ignores one that does not exist."""
    path = c.config._runtime_path
    return Path(path) if path else None


@verb(
    host="user@host:port of the production host, or an alias from ssh_config",
    path="the deployment folder there, a git clone (default: the only one that Compose deployed)",
    local="read this machine, without SSH",
    sudo="run everything there through sudo",
    name="what the target is called (default: prod; with --check the default target)",
    service="the compose service that runs the app; short for --set app.service=…",
    set="a setting that is known, such as --set app.path=/srv/app; may be given several times",
    yes="take what was found; what cannot be known is an error that names it",
    force="write over the invoke.yaml that is there",
    check="compare what the file says with the host, and name what has drifted; writes nothing",
    accept_host_key="the fingerprint, SHA256:…, of a host key to add to known_hosts where nobody can be asked",
)
def init(
    c: Context,
    host: str = "",
    path: str = "",
    local: bool = False,
    sudo: bool = False,
    name: str = "",
    service: str = "",
    set: "list[str] | None" = None,
    yes: bool = False,
    force: bool = False,
    check: bool = False,
    accept_host_key: str = "",
) -> None:
    """Write an invoke.yaml of what is found on a host, and run preflight with it; changes nothing there.

    Example: inv init --host deploy@prod.example.com --yes
    """
    from deploy.verbs import init as adoption

    accepted = tuple(filter(None, accept_host_key.split(",")))
    if check:
        adoption.check(PROJECT, runtime_file(c), name, accepted)
        return
    given = adoption.given([*(set or ()), *([f"app.service={service}"] if service else [])])
    name = name or adoption.NAME
    adoption.init(PROJECT, adoption.Wanted(host, path, local, sudo, name, given, yes, force, accepted))
    preflight.body(c, target=name)


@verb(
    target="check what this target, or the targets of this group, need here (default: all of invoke.yaml)",
    offline="leave out what is asked over the network: names and ports",
)
def doctor(c: Context, target: str = "", offline: bool = False) -> None:
    """Check this machine: Python, packages, settings, git, SSH agent, keys, known_hosts, the way to each host, clock.

    Example: inv doctor --offline --target prod
    """
    from deploy.verbs import doctor as checks

    checks.doctor(PROJECT, runtime_file(c), target, offline=offline)


@verb(target=TARGET, only=ONLY, discard=DISCARD, allow_unsuitable=ALLOW)
def preflight(
    c: Context, target: str = "", only: str = "", discard: bool = False, allow_unsuitable: bool = False
) -> None:
    """Read the host's whole state and report every finding; changes nothing.

    Example: inv preflight --target prod
    """
    from deploy.plan import Options
    from deploy.verbs import groups, update

    options = Options(discard, allow_unsuitable)
    work(c, target, only, lambda s: update.preflight_(s, options), lambda h: groups.preflight_(h, options))


@verb(target=TARGET, only=ONLY, wait=WAIT, discard=DISCARD)
def sync(c: Context, target: str = "", only: str = "", wait: str = "", discard: bool = False) -> None:
    """Bring the clone on the host to the remote branch.

    Example: inv sync --discard --target prod
    """
    from deploy.plan import Options

    step(c, target, only, wait, "sync", Options(discard=discard))


@verb(target=TARGET, only=ONLY, wait=WAIT, allow_unsuitable=ALLOW)
def copy(c: Context, target: str = "", only: str = "", wait: str = "", allow_unsuitable: bool = False) -> None:
    """Make the app's folder in the container equal to the clone's commit.

    Example: inv copy --target prod
    """
    from deploy.plan import Options

    step(c, target, only, wait, "copy", Options(allow_unsuitable=allow_unsuitable))


@verb(target=TARGET, only=ONLY, wait=WAIT)
def clean(c: Context, target: str = "", only: str = "", wait: str = "") -> None:
    """Remove bytecode and caches in the container.

    Example: inv clean --target prod
    """
    from deploy.plan import Options

    step(c, target, only, wait, "clean", Options())


@verb(
    target=TARGET,
    only=ONLY,
    wait=WAIT,
    current="show the database's revision, the code's heads and what is pending; changes nothing",
    history="list the code's migrations; changes nothing",
    sql="print the SQL that an upgrade would run; changes nothing",
    stamp="write this revision into the database without running anything",
    no_backup=NO_BACKUP,
)
def migrate(
    c: Context,
    target: str = "",
    only: str = "",
    wait: str = "",
    current: bool = False,
    history: bool = False,
    sql: bool = False,
    stamp: str = "",
    no_backup: bool = False,
) -> None:
    """Upgrade the database to the code in the container, stamping it first where it was never stamped.

    Example: inv migrate --current --target prod
    """
    from deploy.errors import Exit, Failure
    from deploy.message import say
    from deploy.plan import Options
    from deploy.verbs import group_update, groups, update
    from deploy.verbs import migrate as migrations

    if sum((current, history, sql, bool(stamp))) > 1:
        raise Failure(say("--current, --history, --sql and --stamp exclude each other"), code=Exit.USAGE)
    options = Options(no_backup=no_backup)

    def one(s: "Session") -> None:
        s.demand_database()
        if current:
            migrations.current(s)
        elif history:
            migrations.history(s)
        elif sql:
            migrations.sql(s)
        elif stamp:
            s.in_turn(wait, lambda: migrations.stamp(s, stamp))
        else:
            s.in_turn(wait, lambda: update.run_step(s, "migrate", options))

    def many(h: "Hosts") -> None:
        if current:
            groups.current(h)
        elif history or sql or stamp:
            group_update.once_per_database(h, one)
        else:
            h.in_turn(wait, lambda: group_update.run_step(h, "migrate", options))

    work(c, target, only, one, many)


@verb(target=TARGET, only=ONLY, wait=WAIT, list="list the dumps; changes nothing")
def backup(c: Context, target: str = "", only: str = "", wait: str = "", list: bool = False) -> None:
    """Dump the database into the host's backup folder, and check the dump.

    Example: inv backup --list --target prod
    """
    from deploy.plan import Options
    from deploy.verbs import backup as backups
    from deploy.verbs import group_update, update

    def one(s: "Session") -> None:
        s.demand_database(dumps=True)
        if list:
            backups.show(s)
        else:
            s.in_turn(wait, lambda: update.run_step(s, "backup", Options()))

    work(c, target, only, one, lambda h: group_update.once_per_database(h, one))


@verb(
    target=TARGET,
    only=ONLY,
    wait=WAIT,
    backup="the dump to bring back, as inv backup --list names it (default: the newest)",
    yes="do not ask for the database's name",
)
def restore(c: Context, target: str = "", only: str = "", wait: str = "", backup: str = "", yes: bool = False) -> None:
    """Make a dump the database again: restored beside it and checked first, swapped while the app is stopped.

    Example: inv restore --backup 20260101T000000-abcd --target prod
    """
    from deploy.verbs import backup as backups
    from deploy.verbs import group_update

    def one(s: "Session") -> None:
        s.demand_database(dumps=True)
        s.in_turn(wait, lambda: backups.restore(s, backup, yes=yes))

    work(c, target, only, one, group_update.refuse_restore)


@verb(
    target=TARGET, only=ONLY, wait=WAIT, strategy="rolling (worker by worker) or container (default: restart.strategy)"
)
def restart(c: Context, target: str = "", only: str = "", wait: str = "", strategy: str = "") -> None:
    """Have new processes serve: worker by worker without a failed request, or by a restart of the container.

    Example: inv restart --strategy container --target prod
    """
    from deploy import remedies
    from deploy.errors import Exit, Failure
    from deploy.message import say
    from deploy.plan import Options

    if strategy not in ("", "rolling", "container"):
        raise Failure(say("no strategy %s", strategy), remedy=remedies.NAME_A_STRATEGY, code=Exit.USAGE)
    step(c, target, only, wait, "restart", Options(strategy=strategy))


@verb(target=TARGET, only=ONLY, wait=WAIT, undo="give the image's name back to the one that bore it before")
def bake(c: Context, target: str = "", only: str = "", wait: str = "", undo: bool = False) -> None:
    """Make the confirmed release an image, so that a container that is recreated keeps it.

    Example: inv bake --target prod
    """
    from deploy.verbs import bake as baking

    work(c, target, only, lambda s: s.in_turn(wait, lambda: baking.undo(s) if undo else baking.bake(s)))


@verb(target=TARGET, only=ONLY, watch="ask again every 2 s until interrupted", json="print one JSON object")
def health(c: Context, target: str = "", only: str = "", watch: bool = False, json: bool = False) -> None:
    """Ask every health check and the running revision; exit 0 only when all are healthy.

    Example: inv health --watch --target prod
    """
    from deploy.verbs import groups
    from deploy.verbs import health as checks

    work(
        c,
        target,
        only,
        lambda s: checks.ask(s, watch=watch, as_json=json),
        lambda h: groups.health(h, watch=watch, as_json=json),
    )


@verb(
    target=TARGET,
    only=ONLY,
    wait=WAIT,
    discard=DISCARD,
    allow_unsuitable=ALLOW,
    skip_unreachable=SKIP,
    dry_run="print the findings, what changes and the exact plan, change nothing",
    commands=COMMANDS,
    keep_schema="leave the database as it is",
    no_backup=NO_BACKUP,
    yes="do not ask before acting",
    with_="bring these files of the settings to their places too, though only when asked for: NAME, or NAME,NAME",
    keep_built="release although what was built from other sources, such as the frontend, stays as it is",
    maintenance="have users get the maintenance page from before the first step that interrupts until it is healthy",
    watch_after="seconds for which the new release is watched before it is confirmed (default: confirm.watch)",
    probe="ask the first health check, probe.url, or --probe='URL URL' meanwhile; tell what failed, gaps, the slowest "
    "request and the longest wait for a lock",
)
def hot_update(
    c: Context,
    target: str = "",
    only: str = "",
    wait: str = "",
    discard: bool = False,
    allow_unsuitable: bool = False,
    skip_unreachable: bool = False,
    keep_schema: bool = False,
    no_backup: bool = False,
    dry_run: bool = False,
    commands: bool = False,
    yes: bool = False,
    with_: str = "",
    keep_built: bool = False,
    maintenance: bool = False,
    watch_after: int = -1,
    probe: str = "",
) -> None:
    """Bring production to the remote branch, prove it and confirm it; what fails is undone.

    Example: inv hot-update --dry-run --target prod
    """
    # Without a value it is True, by Invoke's own doing.
    given: dict[str, object] = {"probe": {"url": probe}} if isinstance(probe, str) and probe else {}
    if watch_after >= 0:
        given["confirm"] = {"watch": watch_after}
    how = {"dry_run": dry_run, "commands": commands, "yes": yes, "probe": bool(probe)}

    def options(s: "Session") -> "Options":
        from deploy.plan import Options
        from deploy.verbs import maintenance as pages
        from deploy.verbs import update

        also = update.named_files(s, with_)
        page = pages.page(s.settings) if maintenance else ""
        return Options(discard, allow_unsuitable, keep_schema, no_backup, also=also, keep_built=keep_built, page=page)

    def one(s: "Session") -> None:
        s.begin_reading("remote", preview=dry_run)
        from deploy.verbs import update

        s.in_turn(wait, lambda: update.hot_update(s, options(s), **how))

    def many(h: "Hosts") -> None:
        from deploy.verbs import group_update

        h.in_turn(wait, lambda: group_update.hot_update(h, options(h.first), **how, skip=skip_unreachable))

    work(c, target, only, one, many, given)


@verb(state="on or off", target=TARGET, only=ONLY, wait=WAIT)
def maintenance(c: Context, state: str, target: str = "", only: str = "", wait: str = "") -> None:
    """Have users get a page instead of the app (503, Retry-After), or the app again; health checks always get the app.

    Example: inv maintenance on --target prod
    """
    from deploy.verbs import maintenance as pages

    work(c, target, only, lambda s: s.in_turn(wait, lambda: pages.switch(s, state)))


@verb(
    target=TARGET,
    only=ONLY,
    confirm="prove the release and confirm it, in place of whoever started the run",
    undo="have the run undone",
)
def attach(c: Context, target: str = "", only: str = "", confirm: bool = False, undo: bool = False) -> None:
    """Follow the run in progress on the host, or tell how the last one ended.

    Example: inv attach --undo --target prod
    """
    from deploy.verbs import group_update, update

    work(
        c,
        target,
        only,
        lambda s: update.attach(s, confirm=confirm, undo=undo),
        lambda h: group_update.attach(h, confirm=confirm, undo=undo),
    )


@verb(
    target=TARGET,
    only=ONLY,
    wait=WAIT,
    to="the commit to go back to (default: the last confirmed release before the one that runs)",
    list="list the confirmed releases; changes nothing",
    discard=DISCARD,
    skip_unreachable=SKIP,
    dry_run="print the findings, what changes and the exact plan, change nothing",
    commands=COMMANDS,
    yes="do not ask before acting",
)
def rollback(
    c: Context,
    target: str = "",
    only: str = "",
    wait: str = "",
    to: str = "",
    list: bool = False,
    discard: bool = False,
    skip_unreachable: bool = False,
    dry_run: bool = False,
    commands: bool = False,
    yes: bool = False,
) -> None:
    """Bring production back to an earlier release; the database stays as it is.

    Example: inv rollback --to 1a2b3c4 --target prod
    """
    from deploy.verbs import group_update, update
    from deploy.verbs import status as looks

    how = {"discard": discard, "dry_run": dry_run, "commands": commands, "yes": yes}
    if list:
        work(c, target, only, looks.list_releases)
    else:
        work(
            c,
            target,
            only,
            lambda s: s.in_turn(wait, lambda: update.rollback(s, to, **how)),
            lambda h: h.in_turn(wait, lambda: group_update.rollback(h, to, **how, skip=skip_unreachable)),
        )


@verb(
    target=TARGET,
    only=ONLY,
    json="print one JSON object",
    drift="list only the files that were changed by hand",
    watch="tell it again every 5 s until interrupted",
)
def status_(
    c: Context, target: str = "", only: str = "", json: bool = False, drift: bool = False, watch: bool = False
) -> None:
    """Tell what runs and is new, drift, services, programs, migrations, room, lock and last run.

    Example: inv status --watch --target prod
    """
    from deploy.verbs import groups
    from deploy.verbs import status as looks

    one = lambda s: looks.status(s, as_json=json, drift=drift, watch=watch)  # noqa: E731
    work(c, target, only, one, None if drift else lambda h: groups.status(h, as_json=json, watch=watch))


@verb(
    target=TARGET,
    only=ONLY,
    json="print a JSON list",
    html="write them to this file, as a page that needs nothing else",
)
def history(c: Context, target: str = "", only: str = "", json: bool = False, html: str = "") -> None:
    """Tell every run: who, what, how it ended.

    Example: inv history --html runs.html --target prod
    """
    from deploy.verbs import groups
    from deploy.verbs import status as looks

    work(
        c,
        target,
        only,
        lambda s: looks.history(s, as_json=json, html=html),
        lambda h: groups.history(h, as_json=json, html=html),
    )


@verb(
    target=TARGET,
    only=ONLY,
    service="of the containers of this service alone (default: of all that run the code)",
    kind="of one kind alone: container (what it prints), server, nginx, supervisor or app",
    tail="at most so many of the last lines of each (default: 200; 5000 with --since and --run)",
    follow="go on with what comes, until interrupted",
    since="from then on: 10m, 2h, 3d, or a time such as 2026-07-02T10:00, here where it has no zone",
    grep="what matches this regular expression, with the lines that go on with it, such as a traceback",
    run="of the time of this run, as inv history names it, with what itself told",
)
def logs(
    c: Context,
    target: str = "",
    only: str = "",
    service: str = "",
    kind: str = "",
    tail: str = "",
    follow: bool = False,
    since: str = "",
    grep: str = "",
    run: str = "",
) -> None:
    """Tell the last lines of every log in the order of their time, without secrets; --follow goes on.

    Example: inv logs --kind server --since 10m --target prod
    """
    from deploy.verbs import logs as reading

    wanted = reading.wanted(service=service, kind=kind, tail=tail, follow=follow, since=since, grep=grep, run=run)
    work(c, target, only, lambda s: reading.show(s, wanted), lambda h: reading.show_all(h, wanted))


@verb(
    target=TARGET,
    only=ONLY,
    bundle="write all that was read into this new file for a colleague, logs and the last runs too, without secrets",
)
def diagnose(c: Context, target: str = "", only: str = "", bundle: str = "") -> None:
    """Tell what is wrong with production: the likely cause first, what shows it, what to do; changes nothing.

    Example: inv diagnose --bundle diagnosis.txt --target prod
    """
    from deploy.verbs import diagnose as diagnosing

    work(c, target, only, lambda s: diagnosing.one(s, bundle), lambda h: diagnosing.many(h, bundle))


@verb(target=TARGET, only=ONLY, yes="do not ask before acting")
def unlock(c: Context, target: str = "", only: str = "", yes: bool = False) -> None:
    """Show who holds the lock, and have that run ended: a dead one is finished, a living one undone.

    Example: inv unlock --target prod
    """
    from deploy.verbs import status as looks

    work(c, target, only, lambda s: looks.unlock(s, yes=yes))


NAME = "the sandbox's name, and its target's"
INSTALL = "install what is missing (Docker Engine, Compose v2, OpenSSH server), and start the engine if nothing runs it"


@verb(
    install=INSTALL,
    name=NAME,
    shape="the app of a new one: today (web and scheduler apart, Nginx serves a frontend), january (one program), "
    "celery (Gunicorn as PID 1, a Celery worker and beat in containers of their own), replicas (two containers, "
    "the database elsewhere) or mounted (code mounted from the clone, MariaDB); default: today",
    hosts="how many hosts a new one has; several, of the shape today, are named NAME-1, NAME-2 and so on, and share "
    "origin and database",
    import_seconds="how long the app takes to import",
)
def up(
    c: Context,
    name: str = "sandbox",
    install: bool = False,
    shape: str = "",
    hosts: int = 1,
    import_seconds: float = 3.5,
) -> None:
    """Make a throwaway production on this machine, one release behind its origin.

    Example: inv sandbox.up --shape celery --name blue
    """
    from deploy.sandbox import stack

    stack.up(name, install=install, shape=shape, hosts=hosts, import_seconds=import_seconds)


@verb(name=NAME)
def down(c: Context, name: str = "sandbox") -> None:
    """Remove a sandbox: containers, volumes, networks, processes, folders.

    Example: inv sandbox.down --name blue
    """
    from deploy.sandbox import stack

    stack.down(name)
    stack.tidy()


@verb(name=NAME)
def status(c: Context, name: str = "sandbox") -> None:
    """Show a sandbox's services, ports, deployed commit and origin, of each of its hosts.

    Example: inv sandbox.status --name blue
    """
    from deploy.message import Printed
    from deploy.report import Report
    from deploy.sandbox import stack

    report, hosts = Report(), stack.hosts(name)
    for host in hosts:
        if len(hosts) > 1:
            report.line(Printed(host.name), "bold")
        report.rows(stack.status(host.name).rows)


@verb(name=NAME)
def ssh(c: Context, name: str = "sandbox") -> None:
    """Open a shell on a sandbox's host.

    Example: inv sandbox.ssh --name blue
    """
    import subprocess

    from deploy.sandbox import stack

    raise InvokeExit(code=subprocess.run(stack.ssh_command(name), check=False).returncode)


@verb(
    name=NAME,
    kind="code, migration, deleted-file, renamed-file, static, escape-sequences, broken-import, broken-worker, "
    "failing-migration, half-migration, self-migrating, version-table, two-heads, unhealthy, unhealthy-here, "
    "slow-boot, dependency, compose, supervisor, supervisor-program, nginx, nginx-broken, frontend, gunicorn or "
    "submodule",
)
def release(c: Context, kind: str, name: str = "sandbox") -> None:
    """Publish a new release to a sandbox's origin.

    Example: inv sandbox.release migration --name blue
    """
    from deploy.message import say
    from deploy.sandbox import stack

    stack.show(say("origin is at %s now (%s)", stack.release(name, kind)[:7], kind))


@verb(
    name=NAME,
    kind="service-stopped, crash-loop, env-missing, secret-words, unstamped, forgotten-stamp, database-down, "
    "disk-full, recreated, replica, ill-replica, dirty, unpushed, detached, noisy-login, idle-transaction or "
    "rewritten-branch",
)
def break_(c: Context, kind: str, name: str = "sandbox") -> None:
    """Make a sandbox's host ill.

    Example: inv sandbox.break dirty --name blue
    """
    from deploy.sandbox import stack

    stack.show(stack.break_(name, kind))


@verb(install=INSTALL, deep="also what takes long and is held in part by quicker tests")
def test(c: Context, install: bool = False, deep: bool = False) -> None:
    """Run the tests; the part on the real stack needs Docker and sshd.

    Example: inv test --install
    """
    import os
    import subprocess

    from deploy.errors import Failure
    from deploy.message import say
    from deploy.sandbox import stack

    missing = None
    # For a host without root, the servers that databases are asked on, and the shells that complete.
    tools = {"sudo": "sudo", "pg_ctlcluster": "postgresql", "mariadbd": "mariadb-server", "zsh": "zsh", "fish": "fish"}
    try:
        stack.prepare(install, stack.show, tools=tools)
    except Failure as failure:
        missing = say("%s: %s", failure.fact, failure.remedy) if failure.remedy else failure.fact
    selected = " and ".join(filter(None, ("not stack" if missing else "", "" if deep else "not deep")))
    pytest = [sys.executable, "-m", "pytest", "-m", selected]
    code = subprocess.run(pytest, cwd=PROJECT, check=False).returncode
    if code == 1:
        # Beside others on a busy machine one may have been too slow; pytest has named it, and alone it has to pass.
        stack.show(say("once more, alone and one after the other: the tests that failed"))
        again = ["-n", "0", "--exitfirst", "--last-failed", "--last-failed-no-failures", "none"]
        code = subprocess.run([*pytest, *again], cwd=PROJECT, check=False).returncode
    stack.tidy()
    if missing:
        stack.show(say("skipped: every test on the real stack · %s", missing))
        code = code or (1 if os.environ.get("CI") == "true" else 0)
    raise InvokeExit(code=code)


@verb(
    only="one column of the matrix: one fault, at every point",
    shape="one shape of the app, as of inv sandbox.up (default: all)",
    point="one row: a step, two with a - between, or confirm (default: all)",
    file="where the outcomes are kept; what has passed at this commit is not run again",
    install=INSTALL,
)
def faults(
    c: Context,
    only: str = "",
    shape: str = "",
    point: str = "",
    file: str = "faults.jsonl",
    install: bool = False,
) -> None:
    """Let every fault happen at every point of an update, and print what came of each.

    Example: inv test.faults --shape today --only step-fails --point copy
    """
    from deploy.sandbox import stack
    from tests.faults import table

    stack.prepare(install, stack.show)
    passed = table.fill(Path(file), only, shape, point)
    stack.tidy()
    raise InvokeExit(code=0 if passed else 1)


@verb(
    name="a sandbox that is there (default: one of its own, gone afterwards)",
    shape="the app of the sandbox of its own: today or january",
    cases="some of nothing, code, migration, container, workers, rtt100, start-up, hosts and tree, with commas "
    "(default: all)",
    rounds="samples per case and side",
    quick="one sample of each of the first four cases, at 20 requests a second",
    json="also write a JSON list with an object per row to this file",
    plot="also draw the requests of an update into this SVG file",
)
def bench(
    c: Context,
    name: str = "",
    shape: str = "today",
    cases: str = "",
    rounds: int = 3,
    quick: bool = False,
    json: str = "",
    plot: str = "",
) -> None:
    """Measure hot-update beside a plain shell script of the runbook's steps, on a sandbox.

    Example: inv bench --cases nothing,code
    """
    from tests.bench import bench

    bench.bench(name, shape, cases, rounds, quick, Path(json) if json else None, Path(plot) if plot else None)


@verb()
def messages(c: Context) -> None:
    """Bring every message into the catalogue of translations, and compile that.

    Example: inv messages
    """
    import subprocess

    command = [sys.executable, "-m", "tests.catalogue"]
    raise InvokeExit(code=subprocess.run(command, cwd=PROJECT, check=False).returncode)


@verb()
def docs(c: Context) -> None:
    """Write the pages of the settings and the events from the code, in both languages.

    Example: inv docs
    """
    import subprocess

    command = [sys.executable, "-m", "tests.reference"]
    raise InvokeExit(code=subprocess.run(command, cwd=PROJECT, check=False).returncode)


@verb(name="a sandbox that is there (default: one of its own, gone afterwards)", install=INSTALL)
def recording(c: Context, name: str = "", install: bool = False) -> None:
    """Record an update of a sandbox in a terminal for the README, in both languages.

    Example: inv docs.recording
    """
    from deploy.sandbox import stack
    from tests import recording as recorder

    stack.prepare(install, stack.show)
    recorder.record(name, PROJECT / "docs")


# The verbs in the order of work.
ORDER = (
    (init, doctor, preflight),
    (status_, health, diagnose, logs, history),
    (hot_update, maintenance, attach, unlock),
    (rollback, restore),
    (sync, copy, clean, migrate, backup, restart, bake),
)


@verb()
def contents(c: Context) -> None:
    """Tell every verb, in the order of work.

    Example: inv
    """
    from deploy.message import Printed, say
    from deploy.report import Report

    titles = (say("Begin"), say("Look"), say("Update"), say("Go back"), say("One step alone"))
    rows = [
        (title, [(namespace.transform(one.name), one) for one in verbs])
        for title, verbs in zip(titles, ORDER, strict=True)
    ]
    for title, *sections in ((say("A production to try it on"), "sandbox"), (say("Development"), "test", "docs")):
        rows.append((title, [one for section in sections for one in below(section)]))
    rows[-1][1].extend((one.name, one) for one in (bench, messages))
    width = max(len(name) for _, named in rows for name, _ in named)
    report = Report()
    for title, named in rows:
        report.line(title, "bold")
        for name, one in named:
            report.line(say("  inv %s  %s", name.ljust(width), Printed((one.__doc__ or "").partition("\n")[0])))
    report.line(say("inv --help VERB tells its options and gives an example"), "dim")


def below(section: str) -> list[tuple[str, Any]]:
    """Name the verbs of a collection; its own name is that of its default."""
    named = namespace.collections[section]
    return [(section if name == named.default else f"{section}.{name}", one) for name, one in named.tasks.items()]


namespace = Collection(*(one for verbs in ORDER for one in verbs), bench, messages)
tests = Collection("test", faults)
tests.add_task(test, default=True)
namespace.add_task(contents, default=True)
namespace.add_collection(tests)
pages = Collection("docs", recording)
pages.add_task(docs, default=True)
namespace.add_collection(pages)
namespace.add_collection(Collection("sandbox", up, down, status, ssh, release, break_))
