"""The files that the checks read: what git tracks under one root."""

from __future__ import annotations

import ast
import re
import subprocess
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

PACKAGE = "airflow_provider_arm"

#: Hidden files and folders and build output, skipped where no git lists the files. Those that git tracks are kept.
_IGNORED = re.compile(
    r"^\.(?!ci$|git(?:hub|ignore|attributes)$|pre-commit-config\.yaml$)|^(?:__pycache__|dist|build|htmlcov)$"
)


@dataclass(frozen=True)
class Finding:
    """One place that breaks a rule: the path relative to the root, the line (0: the file or folder as a whole)."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else self.path
        return f"{place}: {self.message}"


class Tree:
    """The files under ``root``, with the text and the syntax tree of each."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.text = cache(self._read_text)
        self.syntax = cache(self._parse)

    @cached_property
    def files(self) -> list[Path]:
        """What git tracks or would add; every file where there is no git (an unpacked sdist)."""
        command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        try:
            listing = subprocess.run(command, cwd=self.root, capture_output=True, check=True, text=True)
        except (OSError, subprocess.CalledProcessError):
            files = [path for path in self.root.rglob("*") if not any(map(_IGNORED.search, self._parts(path)))]
        else:
            files = [self.root / name for name in listing.stdout.split("\0") if name]
        return sorted(path for path in files if path.is_file())

    @cached_property
    def modules(self) -> list[Path]:
        """The Python modules of the package."""
        return [path for path in self.files if path.suffix == ".py" and self._parts(path)[0] == PACKAGE]

    def name(self, path: Path) -> str:
        """Return the path relative to the root, with forward slashes."""
        return path.relative_to(self.root).as_posix()

    def _parts(self, path: Path) -> tuple[str, ...]:
        return path.relative_to(self.root).parts

    def _read_text(self, path: Path) -> str | None:
        """Return the file's text, or None for a binary file."""
        try:
            return path.read_text(encoding="utf-8")
        except UnicodeDecodeError:
            return None

    def _parse(self, path: Path) -> ast.Module:
        return ast.parse(self.text(path) or "", filename=self.name(path))
