"""The direction of imports: from the verbs down to the pure rooms, never back."""

import ast
from pathlib import Path

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
PURE = (
    "errors",
    "remedies",
    "settings",
    "shell",
    "answers",
    "words",
    "message",
    "wording",
    "state",
    "migrations",
    "risks",
    "changes",
    "releases",
    "builds",
    "causes",
    "backups",
    "compose",
    "programs",
    "elsewhere",
    "instances",
    "images",
    "logs",
    "maintenance",
    "mounted",
    "preflight",
    "plan",
    "steps",
    "discovery",
    "diagnosis",
)
EFFECTS = {"fabric", "paramiko", "requests", "rich", "time", "os", "subprocess", "socket", "random", "invoke"}


def imported(file: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "deploy":
            names |= {f"deploy.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or "")
    return names


def roots(file: Path) -> set[str]:
    return {name.split(".")[0] for name in imported(file)}


def files(room: str) -> list[Path]:
    return [DEPLOY / f"{room}.py"] if (DEPLOY / f"{room}.py").exists() else list((DEPLOY / room).glob("*.py"))


def program() -> list[Path]:
    """The modules of the program itself: neither the sandbox nor the templates in it."""
    return [file for file in DEPLOY.rglob("*.py") if "sandbox" not in file.relative_to(DEPLOY).parts]


def test_pure_rooms_import_nothing_that_acts() -> None:
    found = {(file.name, name) for room in PURE for file in files(room) for name in imported(file)}
    assert [pair for pair in found if pair[1].split(".")[0] in EFFECTS] == []


def test_pure_rooms_import_only_pure_rooms() -> None:
    found = {
        (file.name, name)
        for room in PURE
        for file in files(room)
        for name in imported(file)
        if name.startswith("deploy.")
    }
    # What is sent into the container is to them a text, not a module.
    assert [pair for pair in found if pair[1].split(".")[1] not in PURE and pair[1] != "deploy.inside"] == []


def test_fabric_and_paramiko_are_imported_on_the_way_to_the_host_alone() -> None:
    users = {str(file.relative_to(DEPLOY)) for file in program() if roots(file) & {"fabric", "paramiko"}}
    assert users == {"host/ssh.py", "host/ssh_config.py", "host/authentication.py"}


def test_only_the_verbs_of_the_sandbox_know_the_sandbox() -> None:
    users = {file.name for file in program() for name in imported(file) if name.startswith("deploy.sandbox")}
    assert users == set()


def test_what_runs_in_the_container_imports_nothing_of_the_rest() -> None:
    names = {name for file in files("inside") for name in imported(file) if name.startswith("deploy")}
    assert {name for name in names if not name.startswith("deploy.inside.")} == set()
