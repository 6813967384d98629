"""The README's commands are the ones that are run."""

from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def test_ci_runs_the_readmes_command_for_the_tests() -> None:
    command = (ROOT / ".ci/run").read_text().rstrip().splitlines()[-1]
    assert command.endswith("inv test --install")
    assert command in (ROOT / "README.md").read_text().splitlines()


def test_the_readme_has_the_command_for_the_main_job() -> None:
    command = (
        "python3 -m venv .venv && .venv/bin/pip install -e . && "
        ".venv/bin/inv sandbox.up --install hot-update --target sandbox --yes"
    )
    assert command in (ROOT / "README.md").read_text().splitlines()


def test_every_exit_code_is_documented() -> None:
    from deploy.errors import Exit

    readme = (ROOT / "README.md").read_text()
    assert [code for code in Exit if f"| {code.value} |" not in readme] == []
