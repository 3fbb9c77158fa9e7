"""Tests of the pages under docs/: their snippets run, and their lists are complete."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import pytest
from airflow.sdk import DAG

from airflow_provider_arm.sandbox.state.faults import FAULT_KINDS
from airflow_provider_arm.sandbox.state.switches import SWITCHES

DOCS = Path(__file__).parents[2] / "docs"
SANDBOX_PAGE = (DOCS / "sandbox.md").read_text(encoding="utf-8")
SANDBOX_BLOCKS = re.findall(r"```python\n(.*?)```", SANDBOX_PAGE, flags=re.DOTALL)


def test_user_test_on_sandbox_page_passes(arm_sandbox, arm_connection):
    """The example of a user's test on the page of the sandbox passes."""
    names = {}
    exec(SANDBOX_BLOCKS[1], names)  # noqa: S102 - our own file
    names["test_customers_reach_arm_once"](arm_sandbox, arm_connection)


def test_fault_on_sandbox_page_is_accepted(arm_sandbox):
    """The sandbox accepts the example of a fault on its page."""
    exec(SANDBOX_BLOCKS[2], {"box": arm_sandbox})  # noqa: S102 - our own file
    assert [fault["do"] for fault in arm_sandbox.faults()] == ["reset"]


def test_calls_on_sandbox_page_exist(arm_sandbox):
    """Each call in the table of the page can be executed as it is written."""
    from datetime import UTC, datetime

    calls = [
        call
        for row in re.findall(r"^\| (`box\..*?) \|", SANDBOX_PAGE, flags=re.MULTILINE)
        for call in row.split("`, `")
    ]
    assert len(calls) >= 8
    for call in calls:
        if not call.strip("`").endswith("({...})"):
            eval(call.strip("`"), {"box": arm_sandbox, "seconds": 1, "moment": datetime.now(tz=UTC)})  # noqa: S307 - our own file


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_fault_kind_is_on_sandbox_page(kind):
    """Each kind of fault is on the page of the sandbox."""
    assert f"`{kind}`" in SANDBOX_PAGE


@pytest.mark.parametrize("switch", [switch.name for switch in SWITCHES])
def test_switch_is_on_page_of_differences(switch):
    """Each switch of the sandbox is on the page of differences."""
    assert f"`{switch}`" in (DOCS / "sandbox-differences.md").read_text(encoding="utf-8")


def test_options_of_arm_sandbox_are_on_sandbox_page():
    """Each option of arm-sandbox is on the page of the sandbox."""
    from airflow_provider_arm.sandbox.cli import _parser

    options = [name for action in _parser()._actions for name in action.option_strings if name.startswith("--")]
    assert [name for name in options if name not in SANDBOX_PAGE and name != "--help"] == []


@pytest.mark.parametrize("page", ["failure-model.md", "testing.md"])
def test_tests_that_page_names_exist(page):
    """Each test that the page names exists."""
    text = (DOCS / page).read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+|Test\w+)`", text))
    tests = "\n".join(path.read_text(encoding="utf-8") for path in DOCS.parent.joinpath("tests").rglob("test_*.py"))
    assert len(named) > 5
    assert [
        name for name in sorted(named) if not re.search(rf"(def|class) {name}\b|^{name}\b", tests, re.MULTILINE)
    ] == []


def test_snippets_on_exports_page_run():
    """Each snippet creates its operators; lines that open a bucket are only compiled."""
    page = (DOCS / "exports.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert len(blocks) >= 4
    for block in blocks:
        lines = [line for line in block.splitlines() if "check_export(" not in line]
        compile(block, "exports.md", "exec")
        with DAG("arm_page_of_exports", schedule=None):
            exec("\n".join(lines), {})  # noqa: S102 - our own file


def test_table_of_readings_is_that_of_the_model():
    """``python scripts/readings_table.py`` writes it."""
    spec = importlib.util.spec_from_file_location("readings_table", DOCS.parent / "scripts" / "readings_table.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.PAGE.read_text("utf-8").endswith(module.MARKER + module.table())
