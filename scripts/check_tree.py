"""Check the repository's own rules, those that no off-the-shelf linter knows (make lint runs this).

- No file names a package index or a path of somebody's machine.
- No module of the package has more than 400 lines, no function more than 40 (but for a
  constructor that only keeps its arguments).
- Nothing under client/, export/ or submission/ calls float(): amounts stay exact.
"""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "airflow_provider_arm"
EXACT = tuple(PACKAGE / name for name in ("client", "export", "submission"))

MAX_MODULE_LINES = 400
MAX_FUNCTION_LINES = 40

# The brackets keep this file from matching its own rules.
INDEX_HOST = re.compile(r"p[y]pi\.(?:org|python\.org)|p[y]thonhosted\.org|://\S+/s[i]mple\b", re.IGNORECASE)
MACHINE_PATH = re.compile(r"(?<![\w.$}~-])/(?:root|work|home|Users)/\w")


def committed_files() -> list[Path]:
    """Return what git tracks or would take, or every file where there is no git (an unpacked sdist)."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        hidden = re.compile(r"^\.(?!ci$|git(?:ignore|attributes)$)|^__pycache__$|^(?:dist|build|htmlcov)$")
        paths = ROOT.rglob("*")
        found = [path for path in paths if not any(hidden.search(part) for part in path.relative_to(ROOT).parts)]
    else:
        found = [ROOT / name for name in answer.stdout.split("\0") if name]
    return sorted(path for path in found if path.is_file())


def check_text(path: Path) -> Iterator[str]:
    """Yield a finding for every line that names a package index or a path of a machine."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return
    for number, line in enumerate(text.splitlines(), start=1):
        if INDEX_HOST.search(line):
            yield f"{path.relative_to(ROOT)}:{number}: names a package index"
        if MACHINE_PATH.search(line):
            yield f"{path.relative_to(ROOT)}:{number}: names a path of one machine"


def check_module(path: Path) -> Iterator[str]:
    """Yield a finding for a module or function that is too long, and for float() where amounts live."""
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(ROOT)
    if (lines := len(text.splitlines())) > MAX_MODULE_LINES:
        yield f"{name}: {lines} lines, at most {MAX_MODULE_LINES} allowed"
    exact = any(path.is_relative_to(folder) for folder in EXACT)
    for node in ast.walk(ast.parse(text, filename=str(name))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            if length > MAX_FUNCTION_LINES and not only_keeps_its_arguments(node):
                yield f"{name}:{node.lineno}: {node.name}() has {length} lines, at most {MAX_FUNCTION_LINES} allowed"
        elif exact and isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "float":
            yield f"{name}:{node.lineno}: float() is not exact; use Decimal"


def only_keeps_its_arguments(node: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Tell a constructor that is a plain list: an Airflow operator takes each of its arguments by name."""
    plain = (ast.Assign, ast.AnnAssign, ast.Expr)
    return node.name == "__init__" and all(isinstance(line, plain) for line in node.body)


def main() -> int:
    """Print every finding; 1 if there is any."""
    files = committed_files()
    findings = [finding for path in files for finding in check_text(path)]
    modules = [path for path in files if path.suffix == ".py" and path.is_relative_to(PACKAGE)]
    findings += [finding for path in modules for finding in check_module(path)]
    print("\n".join(findings) or f"{len(files)} files and {len(modules)} modules keep the rules.")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
