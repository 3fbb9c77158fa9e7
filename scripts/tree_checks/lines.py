"""Checks of single lines and functions: addresses, lengths and exact amounts."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from tree_checks.tree import PACKAGE, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_checks.tree import Tree

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 40

#: The folders of the package in which amounts stay ``Decimal``.
EXACT = ("client", "export", "reconcile", "submission")

# The brackets keep this file from matching its own rules.
INDEX_HOST = re.compile(r"p[y]pi\.(?:org|python\.org)|p[y]thonhosted\.org|://\S+/s[i]mple\b", re.IGNORECASE)
MACHINE_PATH = re.compile(r"(?<![\w.$}~-])/(?:root|work|home|Users)/\w")


def check_addresses(tree: Tree) -> Iterator[Finding]:
    """Yield a finding for every line that names a package index or a path of one machine."""
    for path in tree.files:
        for number, line in enumerate((tree.text(path) or "").splitlines(), start=1):
            if INDEX_HOST.search(line):
                yield Finding(tree.name(path), number, "names a package index")
            if MACHINE_PATH.search(line):
                yield Finding(tree.name(path), number, "names a path of one machine")


def check_lengths(tree: Tree) -> Iterator[Finding]:
    """Yield a finding for every module and every function of the package that is too long."""
    for path in tree.modules:
        lines = len((tree.text(path) or "").splitlines())
        if lines > MAX_MODULE_LINES:
            yield Finding(tree.name(path), 0, f"{lines} lines, at most {MAX_MODULE_LINES} allowed")
        for node in ast.walk(tree.syntax(path)):
            if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                continue
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            if lines > MAX_FUNCTION_LINES and not _only_assigns_arguments(node):
                message = f"{node.name}() has {lines} lines, at most {MAX_FUNCTION_LINES} allowed"
                yield Finding(tree.name(path), node.lineno, message)


def check_floats(tree: Tree) -> Iterator[Finding]:
    """Yield a finding for every call of ``float()`` in a folder where amounts stay exact."""
    exact = tuple(f"{PACKAGE}/{folder}/" for folder in EXACT)
    for path in tree.modules:
        if not tree.name(path).startswith(exact):
            continue
        for node in ast.walk(tree.syntax(path)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float":
                yield Finding(tree.name(path), node.lineno, "float() is not exact; use Decimal")


def _only_assigns_arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Return whether a constructor is a plain list of assignments: an operator takes each argument by name."""
    plain = (ast.Assign, ast.AnnAssign, ast.Expr)
    return node.name == "__init__" and all(isinstance(line, plain) for line in node.body)
