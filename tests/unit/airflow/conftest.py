"""Fixtures for tests that run operators in Airflow."""

from __future__ import annotations

import json
import os
import sys
from types import SimpleNamespace
from typing import Any

import pytest

# Their functions have time.time as a default. They are imported here, because a module that is first imported while a
# test patches time.time would keep the patched clock for all later tests.
import airflow_provider_arm.submission.sending.send
import airflow_provider_arm.submission.sending.single_write  # noqa: F401 - see above

#: Modules of Airflow that mask secrets in logs, by version.
MASKERS = (
    "airflow.sdk._shared.secrets_masker",
    "airflow._shared.secrets_masker",
    "airflow.sdk.execution_time.secrets_masker",
)


@pytest.fixture(autouse=True)
def forget_masks():
    """Let Airflow forget the secrets of each test after it.

    Airflow rebuilds one pattern of all secrets with each new one: a thousand sandboxes would take a minute per token.
    """
    yield
    for name in MASKERS:
        if (module := sys.modules.get(name)) is not None:
            module._secrets_masker().reset_masker()


class TaskStateStore:
    """Stand-in for ``context["task_state_store"]``: JSON values by key, which outlive the try."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}

    def get(self, key: str, default: Any = None) -> Any:
        return json.loads(self.values[key]) if key in self.values else default

    def set(self, key: str, value: Any, *, retention: Any = None) -> None:
        assert value is not None
        self.values[key] = json.dumps(value)


class TaskInstance(SimpleNamespace):
    """Stand-in for a task instance: its try and its XComs."""

    def __init__(self, try_number: int = 1, max_tries: int = 0) -> None:
        super().__init__(try_number=try_number, max_tries=max_tries, xcoms={})

    def get_first_reschedule_date(self, _context: Any) -> None:
        """Return ``None``: the task was not rescheduled before."""

    def xcom_push(self, key: str, value: Any) -> None:
        self.xcoms[key] = value


def context(store: TaskStateStore | None = None, **ti: int) -> dict[str, Any]:
    """Return the context of one try; without *store*, as Airflow before 3.3 passes it."""
    made: dict[str, Any] = {"ti": TaskInstance(**ti)}
    if store is not None:
        made["task_state_store"] = store
    return made


@pytest.fixture
def store() -> TaskStateStore:
    """Return an empty task state store."""
    return TaskStateStore()


@pytest.fixture
def first_try(store: TaskStateStore) -> dict[str, Any]:
    """Return the context of a task's first try, on an Airflow with a task state store."""
    return context(store)


@pytest.fixture
def make_context():
    """Return the function that builds contexts."""
    return context


@pytest.fixture
def a_try(make_context):
    """Return a function that builds the context of a try, without a task state store."""

    def make(try_number=1, max_tries=2, **names):
        context = make_context(None, try_number=try_number, max_tries=max_tries)
        for name, value in {"dag_id": "d", "run_id": "r", "task_id": "submit", "map_index": -1, **names}.items():
            setattr(context["ti"], name, value)
        return context

    return make


@pytest.fixture(scope="session")
def airflow_db() -> None:
    """Create Airflow's database once."""
    from airflow.utils import db

    db.initdb()


def dag_bag(folder: str, **arguments: Any) -> tuple[Any, Any]:
    """Return a DagBag of the DAGs folder's bundle, and the function that saves it."""
    try:
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db
    except ImportError:  # Airflow 3.1
        from airflow.models.dagbag import DagBag, sync_bag_to_db

        return DagBag(dag_folder=folder, **arguments), sync_bag_to_db
    return DagBag(dag_folder=folder, bundle_name="dags-folder", **arguments), sync_bag_to_db


@pytest.fixture
def load_dags():
    """Return a function that loads a DAG file as Airflow does."""

    def load(path: Any) -> Any:
        bag, _ = dag_bag(str(path))
        assert bag.import_errors == {}
        return bag.dags

    return load


@pytest.fixture
def run_dag(airflow_db):
    """Return a function that runs a DAG in this process as ``dag.test()`` does, triggers and retries included."""

    def run(dag: Any, **arguments: Any) -> Any:
        from airflow.dag_processing.bundles.manager import DagBundlesManager

        DagBundlesManager().sync_bundles_to_db()
        bag, sync_bag_to_db = dag_bag(os.devnull, collect_dags=False)
        bag.bag_dag(dag)
        sync_bag_to_db(bag, "dags-folder", None)
        return dag.test(**arguments)

    return run
