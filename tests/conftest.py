"""Settings of Airflow for the tests. They must be set before Airflow is imported."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

_HOME = Path(tempfile.mkdtemp(prefix="arm-airflow-"))
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
(_HOME / "dags").mkdir()
for _name in [name for name in os.environ if name.startswith("AIRFLOW_")]:
    del os.environ[_name]
os.environ.update(
    {
        "AIRFLOW_HOME": str(_HOME),
        "AIRFLOW__CORE__UNIT_TEST_MODE": "True",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(_HOME / "dags"),
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{_HOME}/airflow.db",
        "AIRFLOW__LOGGING__LOGGING_LEVEL": "INFO",
        # Its listeners would run after every task. The tests call the operators' OpenLineage methods themselves.
        "AIRFLOW__OPENLINEAGE__DISABLED": "True",
        # Calls to loopback must not use a proxy of the machine.
        "NO_PROXY": "127.0.0.1,localhost",
        "no_proxy": "127.0.0.1,localhost",
    }
)

from airflow_provider_arm.testing import arm_connection, arm_sandbox  # noqa: E402 - Airflow's settings come first

__all__ = ["arm_connection", "arm_sandbox"]

#: The options must be known before the tests of tests/contract are collected.
pytest_plugins = ["tests.contract.plugin"]
