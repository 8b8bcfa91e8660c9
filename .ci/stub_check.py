"""Finds what is left open: functions without a body, and comments that put work off.

A body is empty if nothing but a docstring, ``pass``, ``...`` or ``raise NotImplementedError`` is in it.
Methods of protocols, abstract methods and overloads are empty by design.
"""

from __future__ import annotations

import ast
import re
import sys
import tokenize
from collections.abc import Iterator
from io import StringIO
from pathlib import Path

FOLDERS = ("controller", "policies", "hw", "traces", "tests", "benchmarks", ".ci")
OPEN_END = re.compile(r"\b(?:TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b")
EMPTY_BY_DESIGN = {"abstractmethod", "overload"}


def open_ends(source: str) -> Iterator[tuple[int, str]]:
    """Line and complaint of each empty function and each comment that puts work off."""
    tree = ast.parse(source)
    exempt = {
        id(child)
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef) and "Protocol" in {_name(base) for base in node.bases}
        for child in node.body
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and id(node) not in exempt
            and _is_empty(node)
        ):
            yield node.lineno, f"function {node.name} is empty"
    for token in tokenize.generate_tokens(StringIO(source).readline):
        if token.type == tokenize.COMMENT and (found := OPEN_END.search(token.string)):
            yield token.start[0], f"comment puts work off: {found[0]}"


def _is_empty(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    if EMPTY_BY_DESIGN & {_name(decorator) for decorator in function.decorator_list}:
        return False
    return all(_does_nothing(statement) for statement in function.body)


def _does_nothing(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Raise) and statement.exc is not None:
        return _name(statement.exc) == "NotImplementedError"
    return isinstance(statement, ast.Pass) or (
        isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
    )


def _name(node: ast.expr) -> str:
    """Last part of a dotted, called or subscripted name."""
    while isinstance(node, ast.Call | ast.Subscript):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


def main(root: Path) -> int:
    """Prints every finding under ``root``; the number of findings is the result."""
    found = [
        f"{path.relative_to(root)}:{line}: {complaint}"
        for folder in FOLDERS
        for path in sorted((root / folder).rglob("*.py"))
        for line, complaint in open_ends(path.read_text(encoding="utf-8"))
    ]
    print("\n".join(found) or "nothing is left open")
    return len(found)


if __name__ == "__main__":
    sys.exit(min(1, main(Path(__file__).resolve().parent.parent)))
