"""All remedies stand in one place, and none of them for nothing."""

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path

from deploy import remedies
from deploy.message import Message
from deploy.wording import text
from tests import commands
from tests.sandbox.test_ways_out import WAYS

ROOT = Path(__file__).resolve().parent.parent
PLACE = ROOT / "deploy" / "remedies.py"
# The sandbox tells its own; what is sent into the container tells none.
APART = ("sandbox", "inside")
# What a remedy is asked with, by the type that it wants; else a text.
VALUES = {bool: True, tuple[str, ...]: ("x",)}
# What gives a command or an option to act with.
ACTS = re.compile(r"\binv |\bon the host\b|--[a-z]")
# What is to be done by hand: on a host that no test has, or by a choice that only the operator can make.
BY_HAND = {
    "SEE_HELP",
    "join_value",
    "NAME_A_STRATEGY",
    "NAME_SETTING",
    "FORCE_OR_CHECK",
    "GIVE_HOST",
    "GIVE_SUDO",
    "give_settings",
    "replace_placeholder",
    "choose_file",
    "FREE_SHELL",
    "INSTALL_TOOLS",
    "start_docker",
    "SET_REMOTE",
    "UNTRACK",
    "RENORMALIZE",
    "MEND_READING",
    "see_fetch",
    "see_proxy",
    "RUN_PENDING",
    "keep_schema",
    "list_dumps",
    "bring_code",
    "edit_mounted",
    "recreate",
    "look_and_run_again",
    "GIVE_MEMORY",
    "FREE_PORT",
    "FREE_DISK",
    "deploy_revision",
    "go_back_at_once",
    "see_compose",
    "see_container",
    "test_nginx",
}


def modules() -> list[Path]:
    found = [file for file in (ROOT / "deploy").rglob("*.py") if file.relative_to(ROOT).parts[1] not in APART]
    return [ROOT / "tasks.py", *(file for file in found if file != PLACE)]


def told(tree: ast.AST) -> Iterator[ast.expr]:
    """What is given as a remedy: by its name, as the last part of a finding, or in a variable of that name."""
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name("Finding"), args=[_, _, _, remedy]):
                yield remedy
            case ast.Call(keywords=keywords):
                yield from (keyword.value for keyword in keywords if keyword.arg == "remedy")
            case ast.Assign(targets=[ast.Name("remedy")], value=remedy):
                yield remedy


def literal(remedy: ast.expr) -> bool:
    """Is it made up where it is told? What another call is given is a value, not the words."""
    match remedy:
        case ast.Constant(str()) | ast.JoinedStr() | ast.Call(func=ast.Name("say" | "counted" | "Printed")):
            return True
        case ast.BinOp(left=left, right=right) | ast.IfExp(body=left, orelse=right):
            return literal(left) or literal(right)
    return False


def test_every_remedy_is_born_in_one_place() -> None:
    elsewhere = [
        f"{file.relative_to(ROOT)}:{remedy.lineno}"
        for file in modules()
        for remedy in told(ast.parse(file.read_text()))
        if literal(remedy)
    ]
    assert elsewhere == []


def test_no_remedy_is_left_that_nobody_tells() -> None:
    names = {
        name
        for node in ast.parse(PLACE.read_text()).body
        for name in ([node.name] if isinstance(node, ast.FunctionDef) else [t.id for t in getattr(node, "targets", [])])
        if not name.startswith("_")
    }
    used = {
        node.attr
        for file in modules()
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "remedies"
    }
    within = {
        node.id
        for node in ast.walk(ast.parse(PLACE.read_text()))
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)
    }
    assert names - used - within == set()


def texts() -> dict[str, str]:
    """Every remedy as it is told, by its name."""
    found = {}
    for name, remedy in vars(remedies).items():
        if isinstance(remedy, Message):
            found[name] = text(remedy)
        elif inspect.isfunction(remedy) and remedy.__module__ == remedies.__name__:
            kinds = [parameter.annotation for parameter in inspect.signature(remedy).parameters.values()]
            found[name] = text(remedy(*(VALUES.get(kind, "x") for kind in kinds)))
    return {name: told for name, told in found.items() if not name.startswith("_")}


def test_every_command_that_a_remedy_gives_exists_and_names_its_target() -> None:
    assert [wrong for remedy in texts().values() for wrong in commands.wrong(remedy)] == []


def done() -> Iterator[str]:
    """The remedies that tests do besides those of WAYS: so they are marked."""
    for file in (ROOT / "tests/sandbox").glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.does":
                yield from (ast.literal_eval(remedy) for remedy in node.args)


def test_whatever_a_remedy_gives_to_act_with_is_done_in_a_test_or_is_named_as_what_only_a_hand_can_do() -> None:
    acting = {name for name, told in texts().items() if ACTS.search(told)}
    tried = {way.remedy for way in WAYS} | set(done())
    assert (acting - tried - BY_HAND, (tried | BY_HAND) - set(texts()), tried & BY_HAND) == (set(), set(), set())
