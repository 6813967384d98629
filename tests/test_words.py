"""Every message is born as a format and its values, and nothing but the report makes text of one."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.test_imports import imported

ROOT = Path(__file__).resolve().parent.parent
# What runs in the container makes its messages by itself; of the sandbox's app nothing is ours.
APART = tuple(ROOT / "deploy" / folder for folder in ("inside", "sandbox/app", "sandbox/shapes"))
FILES = [
    file
    for file in (ROOT / "tasks.py", *sorted((ROOT / "deploy").rglob("*.py")))
    if not any(file.is_relative_to(folder) for folder in APART)
]
# Not ours to say: names of records, defaults, patterns of what programs print, Bash; and the sandbox's SQL and files.
NO_PROSE = (
    "state/records.py",
    "discovery/records.py",
    "diagnosis/records.py",
    "settings/model.py",
    "causes.py",
    "risks.py",
    "host/dialogue.py",
    "sandbox/",
)
# Keys, which are compared, styles, and what other programs read.
KEYS = {
    # What a page of HTML begins with.
    "<!doctype html>\n",
    "app container",
    "work tree",
    "protected paths",
    "line endings",
    "database revision",
    "as read",
    "the host",
    "last run",
}
KEYS |= {"bold green", "bold red", "not stack", "not deep", " INDEX CONCURRENTLY ", "pragma integrity_check"}
KEYS |= {'session=$read_only\nredacted flask_ upgrade --sql "$sql"\n'}
PROSE = re.compile(r"[A-Za-z]{2,} [A-Za-z]{2,}")
PLACE = re.compile("%[s%]")


def trees() -> Iterator[tuple[str, ast.Module]]:
    for file in FILES:
        yield str(file.relative_to(ROOT)), ast.parse(file.read_text(encoding="utf-8"))


def calls(tree: ast.AST, *names: str) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
            yield node


def formats(call: ast.Call) -> list[ast.expr]:
    """The formats that a call of `counted` or of another that makes messages is given."""
    return call.args[1:3] if isinstance(call.func, ast.Name) and call.func.id == "counted" else call.args[:1]


def places(format: str) -> int:
    return sum(place == "%s" for place in PLACE.findall(format))


def miscounted(call: ast.Call) -> bool:
    """Is a format no literal, or are there not as many places as values?"""
    given = formats(call)
    texts = [one.value for one in given if isinstance(one, ast.Constant) and isinstance(one.value, str)]
    if len(texts) < len(given) or call.keywords:
        return True
    if len(given) == 2:
        return any(places(text) > 1 for text in texts)
    spread = any(isinstance(value, ast.Starred) for value in call.args)
    return not spread and places(texts[0]) != len(call.args) - 1


def test_a_format_is_a_literal_with_a_place_for_each_value() -> None:
    wrong = [
        f"{name}:{call.lineno}" for name, tree in trees() for call in calls(tree, "say", "counted") if miscounted(call)
    ]
    assert wrong == []


def test_no_format_has_what_a_record_escapes() -> None:
    told = {
        one.value
        for _, tree in trees()
        for call in calls(tree, "say", "counted")
        for one in formats(call)
        if isinstance(one, ast.Constant)
    }
    assert len(told) > 300
    assert [format for format in told if not str(format).isprintable() or "\\" in str(format)] == []


def spelled(value: ast.expr, assigned: Mapping[str, list[ast.expr]]) -> bool:
    """Does a value spell out words that should be a message? What a call is given is its own matter."""
    match value:
        case ast.Constant(str(text)):
            return any(character.isalpha() for character in text)
        case ast.JoinedStr(parts):
            return any(
                isinstance(part, ast.Constant) and re.search(r"[A-Za-z] | [A-Za-z]", str(part.value)) for part in parts
            )
        case ast.IfExp(body=one, orelse=other) | ast.BinOp(left=one, right=other):
            return spelled(one, assigned) or spelled(other, assigned)
        case ast.BoolOp(values=several) | ast.Tuple(elts=several) | ast.List(elts=several):
            return any(spelled(one, assigned) for one in several)
        case ast.Starred(value=one) | ast.GeneratorExp(elt=one) | ast.ListComp(elt=one) | ast.NamedExpr(value=one):
            return spelled(one, assigned)
        case ast.Call(func=ast.Attribute(value=ast.Constant(str(separator)), attr="join")):
            return separator.strip() != ""
        case ast.Call(func=ast.Name("tuple" | "list" | "sorted"), args=[one]):
            return spelled(one, assigned)
        case ast.Name(name):
            return any(spelled(one, {}) for one in assigned.get(name, ()))
    return False


def assignments(function: ast.AST) -> dict[str, list[ast.expr]]:
    """What is assigned to each name in a function."""
    found: dict[str, list[ast.expr]] = {}
    for node in ast.walk(function):
        match node:
            case ast.Assign(targets=[ast.Name(name)], value=value) | ast.NamedExpr(target=ast.Name(name), value=value):
                found.setdefault(name, []).append(value)
            case ast.AnnAssign(target=ast.Name(name), value=ast.expr() as value):
                found.setdefault(name, []).append(value)
            case ast.Assign(targets=[ast.Tuple(elts=names)], value=ast.Tuple(elts=values)):
                for one, value in zip(names, values, strict=False):
                    if isinstance(one, ast.Name):
                        found.setdefault(one.id, []).append(value)
    return found


def scopes(tree: ast.Module) -> Iterator[ast.AST]:
    """Every function, and the module without them."""
    yield from (node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))
    yield ast.Module([node for node in tree.body if not isinstance(node, ast.FunctionDef | ast.ClassDef)], [])


def words_as_values(tree: ast.Module) -> Iterator[int]:
    for scope in scopes(tree):
        assigned = assignments(scope)
        said = [(call, call.args[len(formats(call)) :]) for call in calls(scope, "say")]
        printed = [(call, call.args) for call in calls(scope, "Printed")]
        for call, values in said + printed:
            if any(spelled(value, assigned) for value in values):
                yield call.lineno


def test_no_value_spells_out_words() -> None:
    wrong = {f"{name}:{line}" for name, tree in trees() for line in words_as_values(tree)}
    assert wrong == set()


def prose(node: ast.AST) -> Iterator[ast.Constant]:
    """Literals with words one after another that are no message, docstring, assertion, key or help for Invoke."""
    for child in ast.iter_child_nodes(node):
        match child:
            case ast.Expr(value=ast.Constant()) | ast.Assert():
                continue
            case ast.Assign(
                targets=[
                    ast.Name(
                        "TARGET"
                        | "ONLY"
                        | "SKIP"
                        | "DISCARD"
                        | "NO_BACKUP"
                        | "WAIT"
                        | "ALLOW"
                        | "EVENTS"
                        | "STRATEGY"
                        | "COMMANDS"
                        | "NAME"
                        | "INSTALL"
                    )
                ]
            ):
                continue
            case ast.Call(func=ast.Name("say" | "counted" | "verb" | "message" | "ExpectedError")):
                continue
            case ast.Constant(str(text)) if PROSE.search(text) and text not in KEYS:
                yield child
        yield from prose(child)


def test_no_words_are_left_outside_of_messages() -> None:
    wrong = [
        f"{name}:{literal.lineno}"
        for name, tree in trees()
        if not any(part in name for part in NO_PROSE)
        for literal in prose(tree)
    ]
    assert wrong == []


def test_only_the_report_makes_text_of_messages() -> None:
    users = {str(file.relative_to(ROOT)) for file in FILES if "deploy.wording" in imported(file)}
    # The other one says in which language.
    assert users == {"deploy/report.py", "deploy/language.py"}
