"""What is wrong with a command line is told in one message, with what was probably meant; shells complete it."""

import os
import re
import subprocess
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pexpect
import pytest
from invoke.program import Program

import tasks
from deploy import cli
from deploy.output import cells

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
SETTINGS = "targets: {prod: {local: true}, prod-b: {local: true}}\ngroups: {both: {targets: [prod, prod-b]}}\n"


@pytest.fixture
def inv(tmp_path: Path) -> cli.Inv:
    (tmp_path / "invoke.yaml").write_text(SETTINGS)
    # Loaded anew: Invoke takes the help out of a task when it first asks for its arguments.
    spec = spec_from_file_location("verbs_of_a_test", ROOT / "tasks.py")
    assert spec
    assert spec.loader
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    program = cli.Inv(namespace=module.namespace, binary_names=["invoke", "inv"])
    program.places = (tmp_path, None)
    return program


def told(program: cli.Inv, line: str, capsys: pytest.CaptureFixture[str]) -> list[str]:
    """Run a line that is wrong; what is told of it."""
    with pytest.raises(SystemExit) as ended:
        program.run(["inv", *line.split()])
    captured = capsys.readouterr()
    assert (ended.value.code, captured.out) == (2, "")
    return captured.err.splitlines()


@pytest.mark.parametrize(
    ("line", "fact", "meant"),
    [
        ("helth", "there is no verb helth", "inv health"),
        ("Health --json", "there is no verb Health", "inv health --json"),
        ("hot_update --yes", "there is no verb hot_update", "inv hot-update --yes"),
        ("st", "there is no verb st", "inv status"),
        ("release code", "there is no verb release", "inv sandbox.release code"),
        ("sandbox", "there is no verb sandbox", "inv --list sandbox"),
        ("health both --json", "there is no verb both", "inv health --target both --json"),
        ("health --tarjet x", "inv health has no option --tarjet", "inv health --target x"),
        ("health --tarjet=x", "inv health has no option --tarjet", "inv health --target=x"),
        ("hot-update -target prod", "inv hot-update has no option -target", "inv hot-update --target prod"),
        ("hot-update -dry-run", "inv hot-update has no option -dry-run", "inv hot-update --dry-run"),
        ("hot-update -y", "inv hot-update has no option -y", "inv hot-update --yes"),
        ("sandbox.release --nmae blue", "inv sandbox.release has no option --nmae", "inv sandbox.release --name blue"),
        ("--target prod health --json", "--target belongs behind its verb", "inv health --target prod --json"),
        ("--help helth", "--help: there is no helth", "inv --help health"),
        ("--list sandbx", "--list: there is no sandbx", "inv --list sandbox"),
    ],
)
def test_what_was_probably_meant_is_told_as_a_line_to_copy(
    line: str, fact: str, meant: str, inv: cli.Inv, capsys: pytest.CaptureFixture[str]
) -> None:
    assert told(inv, line, capsys) == [f"✗ {fact}", f"→ did you mean: {meant}"]


@pytest.mark.parametrize(
    ("line", "fact", "evidence"),
    [
        (
            "hot-update --watch-after x",
            "inv hot-update: --watch-after takes a whole number, not 'x'",
            "seconds for which the new release is watched before it is confirmed (default: confirm.watch)",
        ),
        (
            "sandbox.up --import-seconds=x",
            "inv sandbox.up: --import-seconds takes a number, not 'x'",
            "how long the app takes to import",
        ),
        ("health --target= --json", "inv health: --target needs a value", tasks.TARGET),
        ("health --target --json", "inv health: --target needs a value", tasks.TARGET),
        ("health --target", "inv health: --target needs a value", tasks.TARGET),
        ("sandbox.release", "inv sandbox.release needs KIND", "code, migration, deleted-file, "),
        ("health --set", "inv health has no option --set", "it has --json, --only, --target, --watch"),
        ("health --zz", "inv health has no option --zz", "it has --json, --only, --target, --watch"),
        ("--list --list-format x", "--list-format: there is no x", "there are: flat, nested, json"),
    ],
)
def test_what_an_option_takes_is_told(
    line: str, fact: str, evidence: str, inv: cli.Inv, capsys: pytest.CaptureFixture[str]
) -> None:
    first, second, remedy = told(inv, line, capsys)
    assert (first, remedy) == (f"✗ {fact}", "→ --help tells what it takes")
    assert second.startswith(f"  {evidence}")


@pytest.mark.parametrize("line", ["health --target prod --target both", "health --target=prod --target=both"])
def test_an_option_that_is_given_twice_is_told(line: str, inv: cli.Inv, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(inv, line, capsys)[0] == "✗ inv health: --target is given twice"


def test_where_nothing_is_like_it_the_list_of_verbs_is_named(inv: cli.Inv, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(inv, "nonsense", capsys) == ["✗ there is no verb nonsense", "→ to see every verb: inv"]


def test_a_word_that_may_be_a_value_or_a_verb_is_told(inv: cli.Inv, capsys: pytest.CaptureFixture[str]) -> None:
    assert told(inv, "hot-update --wait status", capsys) == [
        "✗ inv hot-update: status may be the value of --wait, or a verb",
        "→ --wait=status where that is its value, else put --wait last",
    ]


@pytest.mark.parametrize("line", ["hot-update --dry --yes", "-R hot-update --yes"])
def test_a_dry_run_that_would_be_none_is_refused(line: str, inv: cli.Inv, capsys: pytest.CaptureFixture[str]) -> None:
    fact, remedy = told(inv, line, capsys)
    assert fact == "✗ --dry is Invoke's own: with it a verb would act all the same"
    assert remedy == "→ did you mean: inv hot-update --yes --dry-run"


@pytest.mark.parametrize("command", [(str(BIN / "inv"),), (sys.executable, "-m", "invoke")])
def test_it_holds_for_the_inv_that_people_call(command: tuple[str, ...]) -> None:
    environ = {**os.environ, "PYTHONIOENCODING": "utf-8", "HOT_UPDATE_LANG": "zh"}
    ended = subprocess.run(
        [*command, "hot-update", "--watch-after", "x"],
        cwd=ROOT, env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("✗ inv hot-update：--watch-after 需要整数，而不是 'x'\n")


def test_verbs_are_listed_in_the_order_of_work(inv: cli.Inv, capsys: pytest.CaptureFixture[str]) -> None:
    for line, expected in (("--list", tasks.ORDER[0][0].name), ("--list sandbox", ".up")):
        with pytest.raises(SystemExit):
            inv.run(["inv", *line.split()])
        assert capsys.readouterr().out.split("\n")[2].split()[0] == expected


@pytest.mark.parametrize("words", [("--list",), ("--help", "hot-update"), ("--help", "init")])
def test_chinese_help_is_broken_by_the_columns_that_it_takes(words: tuple[str, ...]) -> None:
    command = f"stty cols 80; HOT_UPDATE_LANG=zh {sys.executable} -m invoke {' '.join(words)}"
    terminal = pexpect.spawn("bash", ["-c", command], cwd=str(ROOT), encoding="utf-8")
    lines = terminal.read().splitlines()
    assert max(map(cells, lines)) in range(70, 80)
    assert [line for line in lines if line.endswith("（")] == []


def test_a_list_that_is_read_in_part_is_no_error() -> None:
    command = f"set -o pipefail; {sys.executable} -u -m invoke --list | head -1"
    ended = subprocess.run(["bash", "-c", command], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("verb", ["status", "helth"])
def test_a_python_without_our_packages_is_told(verb: str) -> None:
    code = "import sys; sys.modules['pydantic'] = None; from invoke.main import program; program.run()"
    ended = subprocess.run([sys.executable, "-c", code, verb], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
    fact, remedy = ended.stderr.splitlines()
    assert fact == f"✗ {sys.executable} lacks pydantic"
    assert remedy.endswith("python3 -m venv .venv && .venv/bin/pip install -e . && .venv/bin/inv")


def test_another_program_of_invokes_stays_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    class Other(Program):
        """As fab is one."""

    import invoke.main

    monkeypatch.setattr(invoke.main, "program", Other())
    cli.take_over(ROOT, None)
    assert type(invoke.main.program) is Other


@pytest.mark.parametrize("text", ["targets: [", "- prod\n", "targets: 5\n", "\x00", "targets: {a: &x [*x]}\n"])
def test_settings_that_cannot_be_read_name_no_target(text: str, tmp_path: Path) -> None:
    (tmp_path / "invoke.yaml").write_text(text)
    given = tmp_path / "mine.yaml"
    given.write_text(SETTINGS)
    assert {*cli.targets(tmp_path, given)} - {"a"} == {"prod", "prod-b", "both"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("inv health --target", ["prod", "prod-b", "both"]),
        ("inv health --target b", ["both"]),
        ("inv health --only=b", ["--only=both"]),
        ("inv health --target = b", ["both"]),
        ("inv health --target x", []),
        ("inv health --target 'b", []),
        ("inv hot-update --watch-after x --ta", []),
        ("inv health --wa", ["--json", "--only", "--target", "--watch"]),
    ],
)
def test_targets_and_flags_are_what_a_line_may_go_on_with(
    words: str, expected: list[str], inv: cli.Inv, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        inv.run(["inv", "--complete", "--", *words.split()])
    assert (ended.value.code, capsys.readouterr().out.split()) == (0, expected)


NEEDED = pytest.mark.stack  # inv test --install installs what else the real stack has not


@pytest.mark.parametrize(
    ("shell", "options"),
    [
        ("bash", ["--norc", "-i"]),
        pytest.param("zsh", ["-f", "-i"], marks=NEEDED),
        pytest.param("fish", ["--no-config", "-i"], marks=NEEDED),
    ],
)
def test_a_shell_completes_with_the_command_of_the_pages(shell: str, options: list[str], tmp_path: Path) -> None:
    found = re.search(
        rf"^\| {shell} \| `(.+)` \|$", (ROOT / "docs" / "verbs.md").read_text(encoding="utf-8"), re.MULTILINE
    )
    assert found
    environ = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", "HOME": str(tmp_path), "TERM": "dumb"}
    terminal = pexpect.spawn(shell, options, cwd=ROOT, env=environ, encoding="utf-8", timeout=30, dimensions=(40, 140))
    try:
        terminal.sendline(found[1].replace("\\|", "|") + "; echo re''ady")
        terminal.expect("\nready")
        for line, whole in (
            ("inv hot-update --target her\t", "here "),
            ("--dry\t", "--dry-run "),
            ("--target=pr\t", "=prod "),
        ):
            terminal.send(line)
            terminal.expect_exact(whole)
    finally:
        terminal.close(force=True)
