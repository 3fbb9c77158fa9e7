"""Checks of the package as a whole: the number of modules in a folder, and class names used twice."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from tree_checks.tree import Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tree_checks.tree import Tree

MAX_MODULES = 14
#: Only for folders inside a folder, such as ``submission/journal``: a folder at the top of the package may be small,
#: because Airflow decides which of them there are (``hooks``, ``sensors``, ``links``).
MIN_MODULES = 4
INNER_DEPTH = 2


def check_sizes(tree: Tree) -> Iterator[Finding]:
    """Yield a finding for every folder of the package with too many or too few modules.

    ``__init__.py`` and ``__main__.py`` do not count.
    """
    modules: dict[PurePosixPath, int] = defaultdict(int)
    for path in tree.modules:
        name = PurePosixPath(tree.name(path))
        modules[name.parent] += name.stem not in {"__init__", "__main__"}
    for folder, count in sorted(modules.items()):
        if count > MAX_MODULES:
            yield Finding(str(folder), 0, f"{count} modules, at most {MAX_MODULES} allowed: split it by subject")
        elif count < MIN_MODULES and len(folder.parts) > INNER_DEPTH:
            message = f"{count} modules, at least {MIN_MODULES} needed: move them into the folder above"
            yield Finding(str(folder), 0, message)


def check_classes(tree: Tree) -> Iterator[Finding]:
    """Yield a finding for every class whose name another class of the package has too, private classes included."""
    first: dict[str, str] = {}
    for path in tree.modules:
        for node in ast.walk(tree.syntax(path)):
            if not isinstance(node, ast.ClassDef):
                continue
            place = f"{tree.name(path)}:{node.lineno}"
            if node.name in first:
                message = f"class {node.name} is also in {first[node.name]}: rename one after what it holds"
                yield Finding(tree.name(path), node.lineno, message)
            else:
                first[node.name] = place
