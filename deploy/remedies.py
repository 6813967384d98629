"""Every remedy: what to do next, for each refusal and each failure.

A remedy is one line: a setting to change, or a command that can be copied, its words quoted and its target named.
The sandbox has its own, where it refuses.
"""

from collections.abc import Sequence

from deploy.message import Message, Printed, say
from deploy.shell import sh


def _inv(target: str, *words: str) -> Printed:
    return Printed(sh("inv", *words, "--target", target))


def _on_host(sudo: bool, *words: str) -> Message:
    """Give a command for the host; `sudo` where the target needs that."""
    return say("on the host: %s", sh(*(("sudo",) if sudo else ()), *words))


# ── The command line and the settings ─────────────────────────────────────────────────────────────────────────────────

GIVE_YES = say("give --yes to act without asking")
WRITE_ELSEWHERE = say("have it written where there is room")
NAME_A_STRATEGY = say("--strategy rolling, or container")
SAY_FOR_TARGET = say("say it in invoke.yaml, or of the target alone: targets: {NAME: {redis: none}}")
SEE_HELP = say("--help tells what it takes")
SEE_VERBS = say("to see every verb: inv")
CORRECT_SETTINGS = say("correct what is named here; the project's invoke.yaml shows every key with its default")


def mean(command: str) -> Message:
    return say("did you mean: %s", command)


def join_value(flag: str, value: str) -> Message:
    return say("%s=%s where that is its value, else put %s last", flag, value, flag)


# inv init, which has no target yet.
NAME_SETTING = say("--set app.service=web, --set 'copy.protected=[.env, uploads]': a key of invoke.yaml and its value")
FORCE_OR_CHECK = say("--check compares it with the host, --force writes it anew")
GIVE_HOST = say("give --host user@host:port, or --local for this machine")
GIVE_SUDO = say("give --sudo where the user may not use Docker, or start it there")
GIVE_PATH = say("give --path: the folder of the git clone that docker compose was run in")


def give_path(path: str) -> Message:
    return say("give --path %s", path)


def give_settings(keys: Sequence[str]) -> Message:
    return say("give each: %s; or ask on a terminal, without --yes", " ".join(f"--set {key}=…" for key in keys))


def accept_key(fingerprint: str) -> Message:
    return say("%s; if it is the same, give --accept-host-key=%s", VERIFY_KEY, fingerprint)


def replace_placeholder(target: str) -> Message:
    return say("set targets.%s.host in invoke.yaml, or choose another target with --target", target)


SAME_RELEASE = say("run it again; if they still differ, compare git.remote and git.branch of the targets")


def make_equal(group: str) -> Message:
    return say("%s, or %s, makes them equal", _inv(group, "hot-update"), _inv(group, "rollback"))


def skip_unreachable(group: str) -> Printed:
    return _inv(group, "hot-update", "--skip-unreachable")


def name_member(members: Sequence[str]) -> Message:
    return say("name one of %s", members)


# ── The way to the host ───────────────────────────────────────────────────────────────────────────────────────────────

SET_HOST = say("set the target's host in invoke.yaml")
SET_IDENTITY = say("set it in invoke.yaml")
CHECK_NAME = say("check the target's host in invoke.yaml, or the alias in ssh_config")
CHECK_NETWORK = say("check the network, the VPN and the port; ssh.connect_timeout is the time allowed")
CHECK_SSHD = say("check that sshd runs there, and the port")
CHECK_PORT = say("check that it is sshd that listens on this port, and what its log says")
VERIFY_KEY = say(
    "on the host's console, compare with: for k in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $k; done"
)
ALLOW_FORWARDING = say("allow it in the host's sshd_config (AllowTcpForwarding local, PermitOpen) and for the key used")
FREE_SESSIONS = say("see MaxSessions in the host's sshd_config: commands that were left there may fill it")
STOP_LOGIN_FILES = say(
    "let login files stop where nobody types: case $- in *i*) ;; *) return ;; esac at the top of ~/.bashrc there"
)
INSTALL_BASH = say("install bash there")
FREE_SHELL = say("log in as a user whose shell is not restricted, or on the host: sudo chsh -s /bin/bash USER")
SEE_LOGIN = say(
    "see the user's login shell there (getent passwd USER), its login files, and a forced command "
    "(command= in authorized_keys, ForceCommand in sshd_config)"
)
MEND_SSH_CONFIG = say("mend it, or install OpenSSH's client: it then tells what holds for a host")
GIVE_FACTOR = say(
    "run it on a terminal, where it is asked for, or let the key alone suffice (AuthenticationMethods there)"
)


# inv doctor, of the laptop.
OWN_PYTHON = say(
    "make the project a virtual environment, and call its inv: "
    "python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/inv"
)
NEWER_PYTHON = say("make the virtual environment anew with a newer Python")
USE_UTF8 = say("export LC_ALL=C.UTF-8, and have the terminal show UTF-8")
SET_CLOCK = say("have NTP set it: sudo timedatectl set-ntp true")
INSTALL_GIT = say("install git here")
INSTALL_SSH = say("install OpenSSH's client here: it tells what holds for a host")
START_AGENT = say("start one in this shell: eval $(ssh-agent), then ssh-add")
MAKE_KEY = say("make one: ssh-keygen -t ed25519; then have its public part added to authorized_keys there")
REPLACE_KEY_FILE = say(
    "replace the file by a private key, or name another: ssh.identity, or IdentityFile in ssh_config"
)


def install_packages(python: str, project: str) -> Printed:
    return Printed(sh(python, "-m", "pip", "install", "-e", project))


def protect_key(file: str) -> Printed:
    return Printed(sh("chmod", "600", file))


def add_key(file: str) -> Printed:
    return Printed(sh("ssh-add", file))


def learn_key(ssh: str) -> Message:
    return say("%s; if it is the same, run once and say yes: %s", VERIFY_KEY, ssh)


def replace_key(ssh: str) -> Message:
    return say(
        "somebody may be listening in, so do not just remove the known key. %s; only if it shows the "
        "new one, remove the lines named above and run once: %s",
        VERIFY_KEY,
        ssh,
    )


def authorize_key(user: str) -> Message:
    return say("add the public key to %s's authorized_keys there, or set ssh.identity", user)


def unlock_key(user: str) -> Message:
    return say("a key needs its passphrase: add it to your agent with ssh-add; else %s", authorize_key(user))


# ── sudo on the host ──────────────────────────────────────────────────────────────────────────────────────────────────

SET_SUDO = say("set sudo: true under the target")
# For who is root already, sudo is no way out.
ROOT = "root"
INSTALL_SUDO = say("install sudo there, or set sudo: false and log in as root or as a member of the docker group")
FREE_SUDO = say("run it on a terminal, or let sudo do without a password there (NOPASSWD in /etc/sudoers.d)")
TRY_SUDO = say("try again, or see sudo -l there")


# ── The host ──────────────────────────────────────────────────────────────────────────────────────────────────────────

INSTALL_TOOLS = say("install them on the host")
INSTALL_COMPOSE = say("install the Compose v2 plugin")
SET_COMPOSE_FILE = say("set compose.file in invoke.yaml")
BRING_SECRETS = say("put the file with the production's secrets back there, or set env.file, or env: none")
FILL_SECRETS = say("set it there (or change env.required)")
ADD_CAPABILITIES = say("an update is likely to fail: name them under cap_add of the service (standard deployment)")
WRITABLE = say("leave read_only out of the compose file, or give it a writable folder there (standard deployment)")
RAISE_MEMORY = say(
    "the container is restarted where its workers would be replaced one by one, and the kernel may "
    "kill the proof: raise mem_limit of the service (standard deployment)"
)
FREE_SPACE = say("free some space (or change preflight.min_free_mib)")


def start_docker(user: str) -> Message:
    start = sh("sudo", "systemctl", "start", "docker")
    if user == ROOT:
        return say("%s on the host", start)
    return say("%s on the host, or let %s use it (group docker, or sudo: true under the target)", start, user)


def let_read(user: str, file: str) -> Message:
    if user != ROOT:
        return SET_SUDO
    return say("let %s read it: see %s on the host, and how its file system is mounted", user, sh("ls", "-ld", file))


def own_clone(user: str, path: str) -> Message:
    if user != ROOT:
        return SET_SUDO
    return say(
        "give the whole clone to one user: %s on the host", sh("chown", "-R", f"--reference={path}", f"{path}/.git")
    )


# ── The clone ─────────────────────────────────────────────────────────────────────────────────────────────────────────

SET_PATH = say("set path under the target to the clone")
SET_REMOTE = say("set git.remote in invoke.yaml, or git remote add on the host")
SET_BRANCH = say("set git.branch in invoke.yaml")
SAVED_FIRST = say("--discard: saved under a ref first")
UNTRACK = say("take it out of the repository (git rm --cached), commit and push, or change copy.protected")
STANDARD_DEPLOYMENT = say("use the standard deployment")
PUBLISH_SUBMODULE = say("publish it where the release was made")
RENORMALIZE = say("git add --renormalize . where the release was made, commit and push")
MEND_READING = say("mend that on the host, then try again")


def remove_index_lock(file: str, sudo: bool) -> Message:
    return say("if no git runs there, %s", _on_host(sudo, "rm", file))


def see_fetch(path: str, remote: str) -> Message:
    command = sh("git", "-C", path, "fetch", remote)
    return say("see %s on the host; where it cannot reach its remote at all, set git.via: laptop", command)


def see_proxy(file: str) -> Message:
    return say("see HTTP_PROXY and its like in %s on the host, and what the proxy says; or set git.via: laptop", file)


SET_CLONE = say("set git.clone in invoke.yaml to a clone of the host's repository")


def see_clone(clone: str, remote: str) -> Message:
    shown = sh("git", "-C", clone, "fetch", remote)
    return say("see %s here; git.clone and git.branch in invoke.yaml say which clone and which branch it is", shown)


def deepen(clone: str, remote: str) -> Message:
    return say(
        "%s has a part of the history only: %s here", clone, sh("git", "-C", clone, "fetch", "--unshallow", remote)
    )


def push_submodule(path: str, commit: str, address: str) -> Message:
    push = sh("git", "-C", path, "push", address, f"{commit}:refs/hot-update/submodules/{commit}")
    return say("push it there, in a clone here that has it: %s", push)


def get_submodule(command: str) -> Message:
    return say("%s on the host; if it is not there, %s", command, PUBLISH_SUBMODULE) if command else PUBLISH_SUBMODULE


PUSH_OR_DISCARD = say("push it, or give --discard: it is then saved under a ref first")
COMMIT_OR_DISCARD = say("commit and push it, or give --discard: it is then saved under a ref first")


def moved_by_sync(branch: str) -> Message:
    return say("sync moves it to %s", branch)


# ── The services ──────────────────────────────────────────────────────────────────────────────────────────────────────

LOOK_INSIDE = say("set app.python and app.path")
SET_CONTAINER = say("set app.container to it")
CHECK_CONTAINER = say("see that app.container is the one that is meant")
MAY_BE_CURED = say("the app is ill; the update may be the cure")


def start_container(status: str, container: str, sudo: bool) -> Message:
    # Not Compose's `up`: that may make a new container, without the code that was copied into this one.
    return _on_host(sudo, "docker", "unpause" if status == "paused" else "start", container)


def mend_loop(container: str, target: str, sudo: bool) -> Message:
    logs = _on_host(sudo, "docker", "logs", "--tail", "50", container)
    return say("%s; where its database is newer than its code: %s", logs, list_dumps(target))


def make_container(up: str, role: str) -> Message:
    return say("set %s.container to its name, or make it, on the host: %s", role, up)


def start_service(up: str) -> Message:
    return say("make it, on the host: %s, or take it out of compose.needs", up)


def stop_containers(sudo: bool, *names: str) -> Message:
    return _on_host(sudo, "docker", "stop", *names)


def set_also(service: str) -> Message:
    return say("name under also: what runs the code beside the app, as %s, and nothing else", service)


def set_service(role: str) -> Message:
    return say("set %s.container and %s.service", role, role)


def leave_to_mount(path: str) -> Message:
    return say("add %s to copy.exclude to leave it to the mount, or take the mount away (standard deployment)", path)


def set_paths(check: str) -> Message:
    return say("set the paths of the check %s under health.checks", check)


# ── The database and its migrations ───────────────────────────────────────────────────────────────────────────────────

AWAIT_MIGRATION = say("wait until it has ended, then run the verb again")
MEND_RELEASE = say("mend the release")
MERGE_HEADS = say("release a merge of them: flask db merge heads")
NAME_VERSION_TABLE = say("rename the column version_num in those that are copies")
SHORTEN_REVISION = say("give it a shorter id in the release, or widen the column version_num of Alembic's table")
RUN_PENDING = say("leave --keep-schema out to run them")
CHANGE_STAMP = say("change migrate.stamp in invoke.yaml")


SET_DATABASE = say("see that database.url names the variable of the app's container that has its URL")
SET_FILE = say("see that database.name is SQLite's file in the app's container")
NAME_DATABASE = say("say under database in invoke.yaml which one it is")


def see_database(container: str, sudo: bool) -> Message:
    return say("see why, %s", _on_host(sudo, "docker", "logs", "--tail", "50", container))


def find_revision(target: str) -> Message:
    return say("find its revision, then %s", _inv(target, "migrate", "--stamp", "REVISION"))


def keep_schema(target: str) -> Message:
    return say(
        "give --keep-schema to leave the database as it is, or restore a dump of %s", _inv(target, "backup", "--list")
    )


def drop_index(container: str, user: str, database: str, index: str) -> Message:
    words = ("docker", "exec", container, "psql", "-U", user, "-d", database, "-c") if container else ("psql", "-c")
    drop, make = (sh(*words, f"{how} INDEX CONCURRENTLY {index}") for how in ("DROP", "REINDEX"))
    told = say("%s; then a migration can make it again; one that is not to run again: %s instead", drop, make)
    return say("on the host, %s", told) if container else told


def list_migrations(target: str) -> Message:
    return say("%s lists them", _inv(target, "migrate", "--history"))


# ── Its dumps ─────────────────────────────────────────────────────────────────────────────────────────────────────────

SET_CLIENT = say("set backup.client to a container that has them, or to host")
NAME_CLIENT = say("%s, or give --no-backup: there is no way back then", SET_CLIENT)
MAKE_ROOM_FOR_DUMP = say("free some space there, or set backup.dir, or give --no-backup")


def list_dumps(target: str) -> Message:
    return say("%s names the dumps that there are, each with its revision", _inv(target, "backup", "--list"))


def make_dump(target: str) -> Message:
    return say("%s makes one of the database as it is now", _inv(target, "backup"))


def choose_dump(ids: tuple[str, ...]) -> Message:
    return say("there are: %s", ids)


def restore_dump(dump: str, target: str) -> Message:
    command = _inv(target, "restore", "--backup", dump)
    return say("%s brings the old schema back; what was written since is then lost", command)


# ── What runs, and what is to run ─────────────────────────────────────────────────────────────────────────────────────

WRITES_DOWN = say("the update restarts what runs it, and writes that down")
COPIES_ALL = say("the update copies every file")
PUTS_RIGHT = say("the update puts them right; what git does not know is saved")
RESTARTS = say("the update restarts it")
SET_PROGRAM = say("say under restart.programs how it is restarted, or restart it by hand after the update")
GIVE_ID = say("give the commit's id")


def go_back(revision: str, target: str) -> Message:
    return say("%s goes back to it at any time", _inv(target, "rollback", "--to", revision))


def bring_code(revision: str, target: str) -> Message:
    return say("%s brings the code of then", _inv(target, "rollback", "--to", revision))


def list_releases(target: str) -> Message:
    shown = _inv(target, "rollback", "--list")
    return say("%s shows the confirmed ones; --to REVISION takes any commit of the clone", shown)


def rebuild(image: str, service: str) -> Message:
    return say("%s: rebuild %s, recreate %s", STANDARD_DEPLOYMENT, image, service)


def rebuild_or_allow(image: str, service: str) -> Message:
    return say("%s, or give --allow-unsuitable", rebuild(image, service))


BUILD_LATER = say("update again without --keep-built: what is built of the release comes then")


def build(folder: str) -> Message:
    return say("put a build of the release into %s, as built in the settings says, and update again", folder)


def build_or_keep(folder: str) -> Message:
    return say("put a build of the release into %s, as built in the settings says, or give --keep-built", folder)


def rebuild_later(image: str, service: str) -> Message:
    return say("%s; --allow-unsuitable is given", rebuild(image, service))


def choose_file(names: Sequence[str]) -> Message:
    return say("give --with one of: %s", names)


def edit_mounted(source: str, place: str) -> Message:
    return say("bring %s to %s on the host by hand", source, place)


def bring_file(name: str) -> Message:
    return say("give --with %s to bring it there; one that was changed by hand is saved first", name)


# Of an image that a release is to be baked into.
MEND_HOOK = say("mend what it minds, or take it out of the settings")
NAME_SITE = say(
    "name the Nginx site of the app's container under files, and in maintenance.site; another Nginx is not ours"
)
ON_OR_OFF = say("on, or off")


def page_off(target: str) -> Printed:
    return _inv(target, "maintenance", "off")


def page_again(target: str) -> Message:
    return say("%s puts it there again, %s forgets it", _inv(target, "maintenance", "on"), page_off(target))


CONFIRM_FIRST = say("what an update or a rollback brought, proved and confirmed can be baked: the next release can")
SET_IMAGE = say("set app.image to what the container was made from")
NAME_IMAGE = say("give the service an image with a name in the compose file, and recreate it (standard deployment)")
NAME_APART = say("give each of them an image with a name of its own (standard deployment)")


def recreate(up: str) -> Message:
    return say("recreate the container from it, or bring the name back: on the host: %s", up)


def bake(target: str) -> Printed:
    return _inv(target, "bake")


def update(target: str) -> Printed:
    return _inv(target, "hot-update")


def cure(target: str) -> Message:
    return say("publish a release that cures it, then %s", _inv(target, "hot-update"))


# ── Runs and the lock ─────────────────────────────────────────────────────────────────────────────────────────────────

RUN_AGAIN = say("run the verb again")
TAKEN_OVER = say("the next run takes it over")
PASSED_OVER = say("nothing of it is relied on; see whether the disk is ill")


def look(target: str) -> Printed:
    return _inv(target, "preflight")


def look_and_run_again(target: str) -> Message:
    return say("%s, then %s", look(target), RUN_AGAIN)


def follow_run(target: str) -> Message:
    return say("%s follows it", _inv(target, "attach"))


def finish_run(target: str) -> Message:
    return say("%s finishes it", _inv(target, "unlock"))


def see_end(target: str) -> Message:
    return say("%s tells how it ends", _inv(target, "attach"))


# ── What diagnose finds ───────────────────────────────────────────────────────────────────────────────────────────────

RELOAD_PAGE = say("have the browser load it anew: Ctrl+F5, on macOS Cmd+Shift+R")
NAME_BY_CONTENT = say(
    "give files a name by their content (app-1a2b3c4d.js), or let browsers ask (Cache-Control: no-cache)"
)
NAME_NEW_FILE = say("name a new file")


def see_logs(kind: str, target: str) -> Message:
    return say("%s shows the logs", _inv(target, "logs", *(("--kind", kind) if kind else ())))


def go_back_at_once(target: str) -> Message:
    return say("%s goes back, where the last release brought it", _inv(target, "rollback"))


def restart(target: str) -> Printed:
    return _inv(target, "restart")


def clean(target: str) -> Printed:
    return _inv(target, "clean")


def look_at_migrations(target: str) -> Message:
    return say("%s shows the database's revision and what is pending", _inv(target, "migrate", "--current"))


def see_run(run: str, target: str) -> Message:
    return say("%s shows what it told, and the logs of that time", _inv(target, "logs", "--run", run))


def see_compose(file: str, sudo: bool) -> Message:
    return _on_host(sudo, "docker", "compose", "-f", file, "config", "-q")


def see_container(container: str, sudo: bool) -> Message:
    return _on_host(sudo, "docker", "logs", "--tail", "50", container)


def test_nginx(container: str, sudo: bool) -> Message:
    test = _on_host(sudo, "docker", "exec", container, "nginx", "-t")
    return say("mend them, until it succeeds %s", test)


def start_program(container: str, program: str, sudo: bool) -> Message:
    return _on_host(sudo, "docker", "exec", container, "supervisorctl", "start", program)


# ── Known causes: what a step's own words show ────────────────────────────────────────────────────────────────────────

LET_PROOF_WRITE = say(
    "if the app has to write to the database while it boots, set proof.database: writable: it is dumped before that"
)
ALLOW_OPTIONS = say(
    "the app reaches PostgreSQL through something that refuses session options (PgBouncer: "
    "ignore_startup_parameters): allow options there, or set proof.database: writable and "
    "migrate.lock_timeout: 0"
)
GIVE_MEMORY = say("raise the memory limit of the service (mem_limit), or free memory on the host where it has none")
FREE_PORT = say("another process holds the port: see ss -ltnp on the host and in the container")
FREE_DISK = say("the disk is full: see df -h on the host, then docker system df")
MEND_FILE = say("mend the file named above and publish it")


def install_module(module: str) -> Message:
    return say(
        "%s is not installed in the image: if the release needs it, rebuild the image (standard deployment)", module
    )


def end_session_first(pid: str) -> Message:
    return say("see whose session that is and end it (psql: select pg_terminate_backend(%s))", pid)


def end_session(pid: str) -> Message:
    return say("%s, then %s", end_session_first(pid), RUN_AGAIN)


def deploy_revision(revision: str) -> Message:
    return say(
        "the code does not know the database's revision %s: publish a release that has it, or give "
        "--keep-schema to leave the database as it is",
        revision,
    )
