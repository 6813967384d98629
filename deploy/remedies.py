"""Every remedy: what to do next, for each refusal and each failure.

A remedy is one line: a setting to change, or a command that can be copied, its words quoted and its target named.
The sandbox has its own, where it refuses.
"""

from deploy.shell import sh


def _inv(target: str, *words: str) -> str:
    return sh("inv", *words, "--target", target)


def _on_host(sudo: bool, *words: str) -> str:
    """Give a command for the host; `sudo` where the target needs that."""
    return f"on the host: {sh(*(('sudo',) if sudo else ()), *words)}"


# ── The command line and the settings ─────────────────────────────────────────────────────────────────────────────────

GIVE_YES = "give --yes to act without asking"
WRITE_ELSEWHERE = "have it written where there is room"
NAME_A_STRATEGY = "--strategy rolling, or container"
CORRECT_SETTINGS = "correct what is named here; the project's invoke.yaml shows every key with its default"


def replace_placeholder(target: str) -> str:
    return f"set targets.{target}.host in invoke.yaml, or choose another target with --target"


# ── The way to the host ───────────────────────────────────────────────────────────────────────────────────────────────

SET_HOST = "set the target's host in invoke.yaml"
SET_IDENTITY = "set it in invoke.yaml"
CHECK_NAME = "check the target's host in invoke.yaml, or the alias in ssh_config"
CHECK_NETWORK = "check the network, the VPN and the port; ssh.connect_timeout is the time allowed"
CHECK_SSHD = "check that sshd runs there, and the port"
CHECK_PORT = "check that it is sshd that listens on this port, and what its log says"
VERIFY_KEY = "on the host's console, compare with: for k in /etc/ssh/ssh_host_*_key.pub; do ssh-keygen -lf $k; done"
ALLOW_FORWARDING = "allow it in the host's sshd_config (AllowTcpForwarding local, PermitOpen) and for the key used"
FREE_SESSIONS = "see MaxSessions in the host's sshd_config: commands that were left there may fill it"
STOP_LOGIN_FILES = (
    "let login files stop where nobody types: case $- in *i*) ;; *) return ;; esac at the top of ~/.bashrc there"
)
INSTALL_BASH = "install bash there"
FREE_SHELL = "log in as a user whose shell is not restricted, or on the host: sudo chsh -s /bin/bash USER"
SEE_LOGIN = (
    "see the user's login shell there (getent passwd USER), its login files, and a forced command "
    "(command= in authorized_keys, ForceCommand in sshd_config)"
)
MEND_SSH_CONFIG = "mend it, or install OpenSSH's client: it then tells what holds for a host"
GIVE_FACTOR = "run it on a terminal, where it is asked for, or let the key alone suffice (AuthenticationMethods there)"


def learn_key(ssh: str) -> str:
    return f"{VERIFY_KEY}; if it is the same, run once and say yes: {ssh}"


def replace_key(ssh: str) -> str:
    return (
        f"somebody may be listening in, so do not just remove the known key. {VERIFY_KEY}; "
        f"only if it shows the new one, remove the lines named above and run once: {ssh}"
    )


def authorize_key(user: str) -> str:
    return f"add the public key to {user}'s authorized_keys there, or set ssh.identity"


def unlock_key(user: str) -> str:
    return f"a key needs its passphrase: add it to your agent with ssh-add; else {authorize_key(user)}"


# ── sudo on the host ──────────────────────────────────────────────────────────────────────────────────────────────────

SET_SUDO = "set sudo: true under the target"
# For who is root already, sudo is no way out.
ROOT = "root"
INSTALL_SUDO = "install sudo there, or set sudo: false and log in as root or as a member of the docker group"
FREE_SUDO = "run it on a terminal, or let sudo do without a password there (NOPASSWD in /etc/sudoers.d)"
TRY_SUDO = "try again, or see sudo -l there"


# ── The host ──────────────────────────────────────────────────────────────────────────────────────────────────────────

INSTALL_TOOLS = "install them on the host"
INSTALL_COMPOSE = "install the Compose v2 plugin"
SET_COMPOSE_FILE = "set compose.file in invoke.yaml"
BRING_SECRETS = "put the file with the production's secrets back there, or set env.file"
FILL_SECRETS = "set it there (or change env.required)"
ADD_CAPABILITIES = "an update is likely to fail: name them under cap_add of the service (standard deployment)"
WRITABLE = "leave read_only out of the compose file, or give it a writable folder there (standard deployment)"
RAISE_MEMORY = (
    "the container is restarted where its workers would be replaced one by one, and the kernel may kill the proof: "
    "raise mem_limit of the service (standard deployment)"
)
FREE_SPACE = "free some space (or change preflight.min_free_mib)"


def start_docker(user: str) -> str:
    start = sh("sudo", "systemctl", "start", "docker")
    if user == ROOT:
        return f"{start} on the host"
    return f"{start} on the host, or let {user} use it (group docker, or sudo: true under the target)"


def let_read(user: str, file: str) -> str:
    if user != ROOT:
        return SET_SUDO
    return f"let {user} read it: see {sh('ls', '-ld', file)} on the host, and how its file system is mounted"


def own_clone(user: str, path: str) -> str:
    if user != ROOT:
        return SET_SUDO
    return f"give the whole clone to one user: {sh('chown', '-R', f'--reference={path}', f'{path}/.git')} on the host"


# ── The clone ─────────────────────────────────────────────────────────────────────────────────────────────────────────

SET_PATH = "set path under the target to the clone"
SET_REMOTE = "set git.remote in invoke.yaml, or git remote add on the host"
SET_BRANCH = "set git.branch in invoke.yaml"
SAVED_FIRST = "--discard: saved under a ref first"
UNTRACK = "take it out of the repository (git rm --cached), commit and push, or change copy.protected"
STANDARD_DEPLOYMENT = "use the standard deployment"
PUBLISH_SUBMODULE = "publish it where the release was made"
RENORMALIZE = "git add --renormalize . where the release was made, commit and push"
MEND_READING = "mend that on the host, then try again"


def remove_index_lock(file: str, sudo: bool) -> str:
    return f"if no git runs there, {_on_host(sudo, 'rm', file)}"


def see_fetch(path: str, remote: str) -> str:
    return f"see {sh('git', '-C', path, 'fetch', remote)} on the host"


def get_submodule(command: str) -> str:
    return f"{command} on the host; if it is not there, {PUBLISH_SUBMODULE}" if command else PUBLISH_SUBMODULE


def keep_or_discard(keep: str) -> str:
    return f"{keep} it, or give --discard: it is then saved under a ref first"


def moved_by_sync(branch: str) -> str:
    return f"sync moves it to {branch}"


# ── The services ──────────────────────────────────────────────────────────────────────────────────────────────────────

LOOK_INSIDE = "set app.python and app.path"
SET_CONTAINER = "set app.container to it"
CHECK_CONTAINER = "see that app.container is the one that is meant"
MAY_BE_CURED = "the app is ill; the update may be the cure"


def start_container(status: str, container: str, sudo: bool) -> str:
    # Not Compose's `up`: that may make a new container, without the code that was copied into this one.
    return _on_host(sudo, "docker", "unpause" if status == "paused" else "start", container)


def make_container(up: str, role: str) -> str:
    return f"set {role}.container to its name, or make it, on the host: {up}"


def stop_containers(sudo: bool, *names: str) -> str:
    return _on_host(sudo, "docker", "stop", *names)


def set_service(role: str) -> str:
    return f"set {role}.container and {role}.service"


def leave_to_mount(path: str) -> str:
    return f"add {path} to copy.exclude to leave it to the mount, or take the mount away (standard deployment)"


def set_paths(check: str) -> str:
    return f"set the paths of the check {check} under health.checks"


# ── The database and its migrations ───────────────────────────────────────────────────────────────────────────────────

AWAIT_MIGRATION = "wait until it has ended, then run the verb again"
MEND_RELEASE = "mend the release"
MERGE_HEADS = "release a merge of them: flask db merge heads"
NAME_VERSION_TABLE = "rename the column version_num in those that are copies"
SHORTEN_REVISION = "give it a shorter id in the release, or widen the column version_num of Alembic's table"
RUN_PENDING = "leave --keep-schema out to run them"
CHANGE_STAMP = "change migrate.stamp in invoke.yaml"


def see_database(container: str, sudo: bool) -> str:
    return f"see why, {_on_host(sudo, 'docker', 'logs', '--tail', '50', container)}"


def find_revision(target: str) -> str:
    return f"find its revision, then {_inv(target, 'migrate', '--stamp', 'REVISION')}"


def keep_schema(target: str) -> str:
    return f"give --keep-schema to leave the database as it is, or restore a dump of {_inv(target, 'backup', '--list')}"


def drop_index(container: str, user: str, database: str, index: str) -> str:
    command = ("docker", "exec", container, "psql", "-U", user, "-d", database)
    drop, make = (sh(*command, "-c", f"{words} INDEX CONCURRENTLY {index}") for words in ("DROP", "REINDEX"))
    return f"on the host, {drop}; then a migration can make it again; one that is not to run again: {make} instead"


def list_migrations(target: str) -> str:
    return f"{_inv(target, 'migrate', '--history')} lists them"


# ── Its dumps ─────────────────────────────────────────────────────────────────────────────────────────────────────────

MAKE_ROOM_FOR_DUMP = "free some space there, or set backup.dir, or give --no-backup"


def list_dumps(target: str) -> str:
    return f"{_inv(target, 'backup', '--list')} names the dumps that there are, each with its revision"


def make_dump(target: str) -> str:
    return f"{_inv(target, 'backup')} makes one of the database as it is now"


def choose_dump(ids: str) -> str:
    return f"there are: {ids}"


def restore_dump(dump: str, target: str) -> str:
    command = _inv(target, "restore", "--backup", dump)
    return f"{command} brings the old schema back; what was written since is then lost"


# ── What runs, and what is to run ─────────────────────────────────────────────────────────────────────────────────────

COPIES_ALL = "the update copies every file"
PUTS_RIGHT = "the update puts them right; what git does not know is saved"
RESTARTS = "the update restarts it"
GIVE_ID = "give the commit's id"


def go_back(revision: str, target: str) -> str:
    return f"{_inv(target, 'rollback', '--to', revision)} goes back to it at any time"


def list_releases(target: str) -> str:
    shown = _inv(target, "rollback", "--list")
    return f"{shown} shows the confirmed ones; --to REVISION takes any commit of the clone"


def rebuild(image: str, service: str) -> str:
    return f"{STANDARD_DEPLOYMENT}: rebuild {image}, recreate {service}"


def rebuild_or_allow(image: str, service: str) -> str:
    return f"{rebuild(image, service)}, or give --allow-unsuitable"


def rebuild_later(image: str, service: str) -> str:
    return f"{rebuild(image, service)}; --allow-unsuitable is given"


def update(target: str) -> str:
    return _inv(target, "hot-update")


def cure(target: str) -> str:
    return f"publish a release that cures it, then {_inv(target, 'hot-update')}"


# ── Runs and the lock ─────────────────────────────────────────────────────────────────────────────────────────────────

RUN_AGAIN = "run the verb again"
TAKEN_OVER = "the next run takes it over"
PASSED_OVER = "nothing of it is relied on; see whether the disk is ill"


def look(target: str) -> str:
    return _inv(target, "preflight")


def look_and_run_again(target: str) -> str:
    return f"{look(target)}, then {RUN_AGAIN}"


def follow_run(target: str) -> str:
    return f"{_inv(target, 'attach')} follows it"


def finish_run(target: str) -> str:
    return f"{_inv(target, 'unlock')} finishes it"


def see_end(target: str) -> str:
    return f"{_inv(target, 'attach')} tells how it ends"


# ── Known causes: what a step's own words show ────────────────────────────────────────────────────────────────────────

LET_PROOF_WRITE = (
    "if the app has to write to the database while it boots, set proof.database: writable: it is dumped before that"
)
ALLOW_OPTIONS = (
    "the app reaches PostgreSQL through something that refuses session options (PgBouncer: ignore_startup_parameters): "
    "allow options there, or set proof.database: writable and migrate.lock_timeout: 0"
)
GIVE_MEMORY = "raise the memory limit of the service (mem_limit), or free memory on the host where it has none"
FREE_PORT = "another process holds the port: see ss -ltnp on the host and in the container"
FREE_DISK = "the disk is full: see df -h on the host, then docker system df"
MEND_FILE = "mend the file named above and publish it"


def install_module(module: str) -> str:
    return f"{module} is not installed in the image: if the release needs it, rebuild the image (standard deployment)"


def end_session(pid: str) -> str:
    return f"see whose session that is and end it (psql: select pg_terminate_backend({pid})), then {RUN_AGAIN}"


def deploy_revision(revision: str) -> str:
    return (
        f"the code does not know the database's revision {revision}: publish a release that has it, or give "
        "--keep-schema to leave the database as it is"
    )
