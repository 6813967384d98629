"""The direction of imports: from the verbs down to the pure rooms, never back."""

import ast
from pathlib import Path

DEPLOY = Path(__file__).resolve().parent.parent / "deploy"
PURE = ("errors", "settings", "written", "shell", "state", "migrations", "preflight", "plan", "steps")
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


def files(room: str) -> list[Path]:
    return [DEPLOY / f"{room}.py"] if (DEPLOY / f"{room}.py").exists() else list((DEPLOY / room).glob("*.py"))


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
    assert [pair for pair in found if pair[1].split(".")[1] not in PURE] == []


def test_fabric_and_paramiko_are_imported_in_one_place() -> None:
    users = {
        file.name for file in DEPLOY.glob("*.py") if {n.split(".")[0] for n in imported(file)} & {"fabric", "paramiko"}
    }
    assert users == {"host.py"}


def test_only_the_verbs_of_the_sandbox_know_the_sandbox() -> None:
    users = {file.name for file in DEPLOY.glob("*.py") for name in imported(file) if name.startswith("deploy.sandbox")}
    assert users == set()
