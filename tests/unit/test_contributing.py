"""Tests of the pages for contributors and of the README: the targets, folders and files that they name exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "airflow_provider_arm"
PAGES = ("AGENTS.md", "CONTRIBUTING.md", "README.md", "RELEASING.md", "SECURITY.md")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def read_page(name):
    """Return the text of a page without code blocks and without the glossary."""
    text = (ROOT / name).read_text(encoding="utf-8").partition("\n## Glossary\n")[0]
    return re.sub(r"```.*?```", "", text, flags=re.DOTALL)


def test_targets_are_those_of_the_makefile():
    """Each target of the Makefile has a row in the table of targets, and each row is a target."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, flags=re.MULTILINE)) - {"help"}
    assert set(re.findall(r"^\| `make ([a-z-]+)` \|", CONTRIBUTING, flags=re.MULTILINE)) == targets


def test_rooms_are_the_folders_of_the_package():
    """Each folder of the package has a row in the table of rooms, and each row is a folder."""
    folders = {f"{path.parent.relative_to(ROOT)}/" for path in PACKAGE.rglob("*.py")}
    assert set(re.findall(r"^\| `(airflow_provider_arm/[\w/]*)` \|", CONTRIBUTING, flags=re.MULTILINE)) == folders


def test_glossary_terms_are_sorted_and_unique():
    """The terms of the glossary are in alphabetical order, each once."""
    table = CONTRIBUTING.partition("| term | meaning |")[2].partition("\n\n")[0]
    terms = re.findall(r"^\| ([\w ]+) \|", table, flags=re.MULTILINE)
    assert len(terms) > 50
    assert terms == sorted(set(terms), key=str.casefold)


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_to_files_and_headings(name):
    """Each relative link of the page leads to a file, and each link within the page leads to a heading."""
    text = (ROOT / name).read_text(encoding="utf-8")
    headings = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in re.findall(r"(?m)^#+ (.*)$", text)}
    for link in re.findall(r"\]\(([^)]+)\)", text):
        if not link.startswith("https://"):
            path, _, heading = link.partition("#")
            assert (ROOT / path).exists() if path else heading in headings, link


@pytest.mark.parametrize("name", PAGES)
def test_paths_exist(name):
    """Each file and folder that the page names exists, relative to the root or to the package."""
    text = read_page(name)
    paths = set(re.findall(r"`((?:\.?[\w-]+/)+(?:[\w.-]+\.\w+)?)`", text))
    built = {"dist/"}
    assert [path for path in sorted(paths - built) if not any((base / path).exists() for base in (ROOT, PACKAGE))] == []
