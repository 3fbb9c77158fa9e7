"""Check the repository's own rules, those that no off-the-shelf linter knows (make lint runs this).

- ``addresses``: no file names a package index or a path of one machine.
- ``lengths``: no module of the package has more than 400 lines, no function more than 40 (but for a constructor that
  only assigns its arguments).
- ``floats``: nothing under client/, export/, reconcile/ or submission/ calls float(): amounts stay exact.
- ``sizes``: a folder of the package holds at most 14 modules, a folder inside a folder at least 4.
- ``classes``: no class name is used twice in the package.
- ``docstrings``: a function's docstring begins with an imperative verb of the field.
- ``words``: no retired word of the glossary in CONTRIBUTING.md is used, in names or in text.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tree_checks.docstrings import check_docstrings
from tree_checks.glossary import GlossaryError
from tree_checks.lines import check_addresses, check_floats, check_lengths
from tree_checks.rooms import check_classes, check_sizes
from tree_checks.tree import Tree
from tree_checks.words import check_words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tree_checks.tree import Finding

ROOT = Path(__file__).resolve().parent.parent

CHECKS: dict[str, Callable[[Tree], Iterable[Finding]]] = {
    "addresses": check_addresses,
    "lengths": check_lengths,
    "floats": check_floats,
    "sizes": check_sizes,
    "classes": check_classes,
    "docstrings": check_docstrings,
    "words": check_words,
}


def main(arguments: list[str] | None = None, root: Path = ROOT) -> int:
    """Run the checks and print their findings, grouped by check; 1 if there is any."""
    parser = argparse.ArgumentParser(description="Check the repository's own rules.")
    parser.add_argument("--only", metavar="CHECK,...", help=f"run only these checks: {', '.join(CHECKS)}")
    only = parser.parse_args(arguments).only
    chosen = only.split(",") if only else list(CHECKS)
    if unknown := [name for name in chosen if name not in CHECKS]:
        parser.error(f"unknown check {', '.join(unknown)}; choose from {', '.join(CHECKS)}")
    tree = Tree(root)
    failed = False
    for name in chosen:
        try:
            findings = [str(finding) for finding in CHECKS[name](tree)]
        except GlossaryError as error:
            findings = [str(error)]
        if findings:
            failed = True
            print(f"== {name}: {len(findings)}", *findings, sep="\n")
    if not failed:
        print(f"{len(tree.files)} files and {len(tree.modules)} modules pass {', '.join(chosen)}.")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
