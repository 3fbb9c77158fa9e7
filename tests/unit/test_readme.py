"""Tests of the README: its snippets run, and the classes that it names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[0][:40])
def test_snippet_compiles_and_its_imports_exist(block):
    """Each snippet is valid Python, and everything that it imports exists."""
    compile(block, "README.md", "exec")
    names = {}
    for line in block.splitlines():
        if line.startswith(("from ", "import ")):
            exec(line, names)  # noqa: S102 - our own file
    assert len(names) > 1


def test_dag_snippet_builds_dag():
    """The DAG of the README has its three tasks in sequence."""
    names = {}
    exec(BLOCKS[0], names)  # noqa: S102 - our own file
    dag = names["submit"].dag
    assert [task.task_id for task in dag.topological_sort()] == ["submit", "wait", "export"]


def test_client_snippet_lists_items_of_sandbox(arm_sandbox, capsys):
    """The client snippet prints items when its addresses are those of a sandbox."""
    block = BLOCKS[1]
    for placeholder, value in (
        ("https://auth.staging.amili.no/token", arm_sandbox.auth_url),
        ("https://api.staging.amili.no/arm/v1", arm_sandbox.base_url),
        ("<client id>", arm_sandbox.client_id),
        ("<client secret>", arm_sandbox.client_secret),
    ):
        assert placeholder in block
        block = block.replace(placeholder, value)
    exec(block, {})  # noqa: S102 - our own file
    assert capsys.readouterr().out.strip()


def test_classes_in_table_exist():
    """Each operator, sensor, hook and trigger of the table can be imported from the module that the table names."""
    import importlib

    rows = re.findall(r"^\| `((?:operators|sensors|hooks|triggers)\.[\w.]+)`", README, flags=re.MULTILINE)
    assert len(rows) == 21
    for row in rows:
        module, name = row.rsplit(".", 1)
        assert hasattr(importlib.import_module(f"airflow_provider_arm.{module}"), name)
