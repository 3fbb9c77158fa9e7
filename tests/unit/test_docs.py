"""What the pages under docs/ show must run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from airflow.sdk import DAG

from airflow_provider_arm.sandbox.state.faults import FAULT_KINDS
from airflow_provider_arm.sandbox.state.switches import SWITCHES

DOCS = Path(__file__).parents[2] / "docs"
SANDBOX = (DOCS / "sandbox.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```python\n(.*?)```", SANDBOX, flags=re.DOTALL)


def test_the_users_test_of_the_page_passes(arm_sandbox, arm_connection):
    """The page's own example of a user's test does what it says."""
    names = {}
    exec(BLOCKS[1], names)  # noqa: S102 - our own file
    names["test_customers_reach_arm_once"](arm_sandbox, arm_connection)


def test_the_fault_of_the_page_is_one(arm_sandbox):
    """The page's own example of a fault is taken by the sandbox."""
    exec(BLOCKS[2], {"box": arm_sandbox})  # noqa: S102 - our own file
    assert [fault["do"] for fault in arm_sandbox.faults()] == ["reset"]


def test_every_call_of_the_page_exists(arm_sandbox):
    """Each call in the page's table can be made as it stands there."""
    from datetime import UTC, datetime

    calls = [
        call for row in re.findall(r"^\| (`box\..*?) \|", SANDBOX, flags=re.MULTILINE) for call in row.split("`, `")
    ]
    assert len(calls) >= 8
    for call in calls:
        if not call.strip("`").endswith("({...})"):
            eval(call.strip("`"), {"box": arm_sandbox, "seconds": 1, "moment": datetime.now(tz=UTC)})  # noqa: S307 - our own file


@pytest.mark.parametrize("kind", FAULT_KINDS)
def test_every_fault_is_on_the_page(kind):
    """No fault kind is left out of the page."""
    assert f"`{kind}`" in SANDBOX


@pytest.mark.parametrize("switch", [switch.name for switch in SWITCHES])
def test_every_switch_is_on_the_page_of_differences(switch):
    """No switch of the sandbox is left out of the page of differences."""
    assert f"`{switch}`" in (DOCS / "sandbox-differences.md").read_text(encoding="utf-8")


def test_every_option_of_the_command_is_on_the_page():
    """No option of arm-sandbox is left out of the page."""
    from airflow_provider_arm.sandbox.cli import _parser

    options = [name for action in _parser()._actions for name in action.option_strings if name.startswith("--")]
    assert [name for name in options if name not in SANDBOX and name != "--help"] == []


def test_every_test_that_the_failure_model_names_exists():
    """Each promise on the page of the failure model is held by a test of that name."""
    page = (DOCS / "failure-model.md").read_text(encoding="utf-8")
    named = set(re.findall(r"`(test_\w+|Test\w+)`", page))
    tests = "\n".join(path.read_text(encoding="utf-8") for path in DOCS.parent.joinpath("tests").rglob("test_*.py"))
    assert len(named) > 15
    assert [
        name for name in sorted(named) if not re.search(rf"(def|class) {name}\b|^{name}\b", tests, re.MULTILINE)
    ] == []


def test_the_snippets_of_the_page_of_exports_run():
    """Each makes its operators as it stands there; what opens a bucket is only compiled, and its imports made."""
    page = (DOCS / "exports.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    assert len(blocks) >= 4
    for block in blocks:
        lines = [line for line in block.splitlines() if "check_export(" not in line]
        compile(block, "exports.md", "exec")
        with DAG("arm_page_of_exports", schedule=None):
            exec("\n".join(lines), {})  # noqa: S102 - our own file
