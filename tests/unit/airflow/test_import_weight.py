"""Import weight: Airflow imports our modules in every parse and in every task."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

MODULES = (
    "airflow_provider_arm.operators.customer",
    "airflow_provider_arm.operators.batch",
    "airflow_provider_arm.operators.ar_item",
    "airflow_provider_arm.operators.export",
    "airflow_provider_arm.operators.export_merge",
    "airflow_provider_arm.runtime.export.export_operator",
    "airflow_provider_arm.operators.document",
    "airflow_provider_arm.operators.payment",
    "airflow_provider_arm.operators.posting",
    "airflow_provider_arm.operators.reconcile",
    "airflow_provider_arm.operators.resolution",
    "airflow_provider_arm.sensors.batch",
    "airflow_provider_arm.triggers.ar_items",
    "airflow_provider_arm.triggers.batch",
    "airflow_provider_arm.triggers.batch_finished",
    "airflow_provider_arm.hooks.arm",
    "airflow_provider_arm.export",
    "airflow_provider_arm.client",
)

PROBE = """
import importlib, json, sys
import airflow.sdk
from airflow.sdk import BaseHook, BaseOperator, BaseSensorOperator
before = set(sys.modules)
importlib.import_module(sys.argv[1])
print("\\n" + json.dumps(sorted(set(sys.modules) - before)))
"""


@pytest.mark.parametrize("module", MODULES)
def test_import_of_a_module_loads_nothing_heavy(module):
    """A DAG file that imports it loads no HTTP library, no model and no client."""
    result = subprocess.run([sys.executable, "-c", PROBE, module], capture_output=True, text=True, check=True)
    loaded = json.loads(result.stdout.splitlines()[-1])
    heavy = {"requests", "urllib3", "aiohttp", "httpx", "pyarrow", "msgspec", "starlette", "uvicorn"}
    assert not heavy & {name.split(".")[0] for name in loaded}
    ours = [name for name in loaded if name.startswith("airflow_provider_arm.")]
    assert module in ours
    assert not [name for name in ours if "models" in name or "arm_client" in name or "sandbox" in name]
