"""What lies between a login and our script: login files, login shells, forced commands. None of it is the answer."""

import os
import shlex
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.errors import Failure
from deploy.host import Host, connect, dialogue, login
from deploy.message import Printed
from deploy.settings import Ssh, Target
from tests import sshd
from tests.sshd import Sshd, needs_sshd
from tests.texts import as_text

pytestmark = needs_sshd


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sshd.new_key(tmp_path_factory.mktemp("key") / "id")


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The home of who logs in: a login file is what a test writes there."""
    return tmp_path_factory.mktemp("far")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, key: Path, far: Path) -> Iterator[Sshd]:
    folder = tmp_path_factory.mktemp("sshd") / "sshd"
    running = sshd.start(folder, key.with_suffix(".pub"), f"SetEnv HOME={far} LC_ALL=C.UTF-8")
    yield running
    running.stop()


LogIn = Callable[..., Host]


@pytest.fixture
def log_in(server: Sshd, key: Path, far: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[LogIn]:
    """Log in where the login files have these lines."""
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("SSH_AUTH_SOCK", raising=False)
    known_hosts = tmp_path / "known_hosts"
    opened: list[Host] = []

    def open_(bashrc: str, at: Sshd = server, *, sudo: bool = False) -> Host:
        (far / ".bashrc").write_text(bashrc)
        known_hosts.write_text(at.known_hosts_line)
        ssh = Ssh(identity=str(key), known_hosts=str(known_hosts))
        opened.append(connect(Target(name="t", host=at.address, sudo=sudo), ssh, ask=None))
        return opened[-1]

    yield open_
    for host in opened:
        host.close()


@pytest.fixture
def forced(tmp_path: Path, key: Path) -> Iterator[Callable[[str], Sshd]]:
    """An sshd that runs a script of the test's instead of what it is told to run."""
    running: list[Sshd] = []

    def start(script: str) -> Sshd:
        command = tmp_path / "forced"
        command.write_text(script)
        command.chmod(0o755)
        running.append(sshd.start(tmp_path / "forcing", key.with_suffix(".pub"), f"ForceCommand {command}"))
        return running[-1]

    yield start
    for server in running:
        server.stop()


def failure_of(action: Callable[[], object]) -> Any:
    with pytest.raises(Failure) as caught:
        action()
    return as_text(caught.value)


NOISY = 'echo "Welcome to this host"; printf "no newline"; echo "a warning" >&2; printf "nor here" >&2\n'


def test_what_login_files_print_is_not_the_answer(log_in: LogIn) -> None:
    answer = log_in(NOISY).run("echo out; echo err >&2; exit 3")
    assert (answer.status, answer.stdout, answer.stderr) == (3, "out\n", "err\n")


def test_what_login_files_print_is_not_in_a_stream(log_in: LogIn) -> None:
    with log_in(NOISY).stream("echo one; printf last") as lines:
        assert list(lines) == ["one", "last"]


def test_what_login_files_print_is_not_in_the_complaint_of_a_stream(log_in: LogIn) -> None:
    def read() -> None:
        with log_in(NOISY).stream("echo why >&2; exit 5") as lines:
            list(lines)

    assert failure_of(read).evidence == ("why",)


def test_a_script_that_was_prepared_for_begins_after_the_noise(log_in: LogIn) -> None:
    host = log_in(NOISY)
    host.prepare(1)
    assert [host.run("echo out").stdout for _ in range(3)] == ["out\n"] * 3


def test_the_question_about_sudo_is_understood_after_noise(log_in: LogIn) -> None:
    assert log_in(NOISY, sudo=True).run("id -u").stdout == f"{os.geteuid()}\n"


def test_what_comes_after_our_end_is_not_the_answer(log_in: LogIn, forced: Callable[[str], Sshd]) -> None:
    wrapper = '#!/bin/sh\necho hello\nsh -c "$SSH_ORIGINAL_COMMAND"\necho bye\necho "went wrong" >&2\nexit 9\n'
    answer = log_in("", forced(wrapper)).run("printf out; echo err >&2; exit 3")
    assert (answer.status, answer.stdout, answer.stderr) == (3, "out", "err\n")


def test_a_process_that_login_files_leave_running_does_not_keep_the_answer_back(log_in: LogIn, tmp_path: Path) -> None:
    host = log_in(f"sleep 300 & echo $! >{tmp_path}/pid\n")
    assert host.run("echo out").stdout == "out\n"
    os.kill(int((tmp_path / "pid").read_text()), 9)


def test_no_output_of_a_script_is_taken_for_a_mark(log_in: LogIn) -> None:
    host = log_in("")
    script = "cat /proc/$PPID/cmdline /proc/$$/cmdline | tr '\\0' ' '; printf %s%s hot-update- ready; declare -p; seq 9"
    assert host.run(script).stdout.endswith("7\n8\n9\n")


def test_a_login_file_that_reads_a_line_gets_one(log_in: LogIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogue, "_PATIENCE", 0.5)
    assert log_in('read -r -p "which environment? " which\n').run("cat", stdin=b"fed").stdout == "fed"


# What a script is run in


EXPORTS = """
export GIT_DIR=/nowhere GIT_WORK_TREE=/nowhere LC_ALL=C.UTF-8 LANG=de_DE CDPATH=/usr TMPDIR=/nowhere GREP_OPTIONS=-v
export POSIXLY_CORRECT=1 COMPOSE_PROJECT_NAME=other COMPOSE_FILE=other.yml LD_PRELOAD= PYTHONPATH=/nowhere IFS=:
export DOCKER_HOST=unix:///engine.sock HTTP_PROXY=http://proxy:1 GIT_SSH_COMMAND='ssh -i key'
echo 'echo from BASH_ENV' >~/env; export BASH_ENV=~/env ENV=~/env
git() { echo a function; }; cd() { builtin cd /nowhere; }; printf() { echo a function; }
export -f git cd printf
alias git='echo an alias'; shopt -s expand_aliases
"""


def test_only_the_names_that_pass_reach_a_script(log_in: LogIn) -> None:
    told = log_in(EXPORTS).run("env | cut -d= -f1 | sort").stdout.split()
    bashs = {"PWD", "OLDPWD", "SHLVL", "_"}
    assert set(told) - bashs == {"HOME", "USER", "LOGNAME", "PATH", "LC_ALL"} | {
        "DOCKER_HOST", "HTTP_PROXY", "GIT_SSH_COMMAND",
    }  # fmt: skip


def test_a_value_that_passes_is_the_logins_own(log_in: LogIn) -> None:
    answer = log_in(EXPORTS).run('printf "%s|" "$DOCKER_HOST" "$HTTP_PROXY" "$GIT_SSH_COMMAND" "$LC_ALL"')
    assert answer.stdout == "unix:///engine.sock|http://proxy:1|ssh -i key|C|"


def test_no_function_alias_or_option_of_the_login_reaches_a_script(log_in: LogIn) -> None:
    host = log_in(f"{EXPORTS}set -u; set -x; set -o noglob; export SHELLOPTS\n")
    answer = host.run('type -t git; echo "${unset_name-unset}" /et[c]; bash -c "type -t git"')
    assert (answer.stdout, answer.stderr) == ("file\nunset /etc\nfile\n", "")


def test_no_ignored_signal_limit_mode_or_folder_of_the_login_reaches_a_script(log_in: LogIn) -> None:
    host = log_in("trap '' TERM INT PIPE; ulimit -S -f 1 -t 5; umask 077; builtin cd /tmp\n")
    answer = host.run('echo "$(trap) $(ulimit -f) $(ulimit -t) $(umask) $PWD"')
    assert answer.stdout == " unlimited unlimited 0022 /\n"


def test_a_login_without_the_folders_for_root_finds_their_programs(log_in: LogIn) -> None:
    told = log_in("PATH=/usr/bin:/bin\n").run("echo $PATH; command -v sshd").stdout
    assert told == "/usr/bin:/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\n/usr/sbin/sshd\n"


def test_this_machines_environment_does_not_reach_a_script(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("echo from BASH_ENV\n")
    for name, value in {"GIT_DIR": "/nowhere", "BASH_ENV": f"{tmp_path}/env", "BASH_FUNC_git%%": "() { :; }"}.items():
        monkeypatch.setenv(name, value)
    host = connect(Target(name="here", local=True), Ssh(), ask=None)
    assert host.run('echo "${GIT_DIR-none}" $(type -t git)').stdout == "none file\n"


# What keeps our script from running


def refusal(log_in: LogIn, bashrc: str, at: Sshd | None = None) -> Any:
    return failure_of(lambda: (log_in(bashrc, at) if at else log_in(bashrc)).run("echo out"))


def test_a_login_file_that_becomes_another_shell_is_named_and_runs_nothing_of_ours(
    log_in: LogIn, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(dialogue, "_PATIENCE", 0.5)
    failure = failure_of(lambda: log_in("exec sh\n").run(f"touch {tmp_path}/ran"))
    assert "start another shell" in failure.fact
    assert "~/.bashrc" in failure.remedy
    assert not (tmp_path / "ran").exists()


def test_a_login_file_that_reads_all_of_stdin_is_named(log_in: LogIn, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dialogue, "_PATIENCE", 0.2)
    monkeypatch.setattr(dialogue, "_READY_SECONDS", 0.5)
    failure = refusal(log_in, "echo hello; cat >/dev/null\n")
    assert "its login files wait for something, or read stdin" in failure.fact
    assert failure.evidence == ("hello",)


def test_a_login_file_that_ends_the_login_is_named(log_in: LogIn, server: Sshd) -> None:
    failure = refusal(log_in, "exit 0\n")
    assert failure.fact == f"{server.address} does not run our script; it ends with status 0 and says nothing"


def test_an_account_that_may_not_log_in_is_told_in_its_own_words(log_in: LogIn, forced: Callable[[str], Sshd]) -> None:
    server = forced("#!/bin/sh\nexec /usr/sbin/nologin\n")
    failure = refusal(log_in, "", server)
    told = "This account is currently not available."
    assert failure.fact == f"{server.address} does not run our script; instead it says: {told}"
    assert "ForceCommand" in failure.remedy


def test_a_forced_command_that_writes_much_is_shown_by_its_first_lines(
    log_in: LogIn, forced: Callable[[str], Sshd]
) -> None:
    failure = refusal(log_in, "", forced("#!/bin/sh\nseq 100000\n"))
    assert failure.fact.endswith("does not run our script; instead it says: 1")
    assert failure.evidence == ("2", "3")


def test_a_restricted_shell_is_named(log_in: LogIn, forced: Callable[[str], Sshd]) -> None:
    failure = refusal(log_in, "", forced('#!/bin/sh\nexec bash -r -c "$SSH_ORIGINAL_COMMAND"\n'))
    assert failure.fact.endswith("is a restricted one")


def test_a_host_without_bash_is_named(log_in: LogIn, forced: Callable[[str], Sshd]) -> None:
    failure = refusal(log_in, "", forced('#!/bin/sh\nPATH=/nowhere\nexec /bin/sh -c "$SSH_ORIGINAL_COMMAND"\n'))
    assert failure.fact.startswith("there is no bash on ")


def test_a_machine_without_bash_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    host = connect(Target(name="here", local=True), Ssh(), ask=None)
    assert failure_of(lambda: host.run("true")).fact == "bash does not run on this machine"


def test_no_login_shell_finds_anything_to_expand_in_what_it_is_given() -> None:
    assert not set("'\\!\n") & set(dialogue._CLEAN + dialogue._READER)


def test_a_forced_command_over_dash_is_no_obstacle(log_in: LogIn, forced: Callable[[str], Sshd]) -> None:
    wrapper = '#!/bin/sh\necho "$(date) $SSH_ORIGINAL_COMMAND" >/dev/null\nexec dash -c "$SSH_ORIGINAL_COMMAND"\n'
    assert log_in("", forced(wrapper)).run("echo out").stdout == "out\n"


@pytest.mark.parametrize("mark", [b"abc(", b"aab)"])
def test_what_may_be_the_beginning_of_a_mark_is_kept_back(mark: bytes) -> None:
    told = [dialogue._overlap(mark[:count], mark) for count in range(len(mark))]
    assert told == list(range(len(mark)))


def test_nothing_is_shown_of_an_empty_login() -> None:
    assert (
        as_text(login.refuses(Printed("h"), 1, b"\n", b"")).fact
        == "h does not run our script; it ends with status 1 and says nothing"
    )


def test_the_environment_is_made_without_the_login_shells_help() -> None:
    """As `ps` shows it, the command is one that any shell runs."""
    command = shlex.join(dialogue._BASH)
    ended = subprocess.run(["dash", "-c", command], stdin=subprocess.DEVNULL, capture_output=True, check=False)
    assert (ended.stdout, ended.stderr) == (b"hot-update-ready", b"")
