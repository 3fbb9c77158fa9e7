"""Arguments are checked when a DAG is parsed, and every operator shows all of its arguments."""

from __future__ import annotations

import importlib
import inspect
import re

import pytest
from airflow.sdk import DAG, BaseOperator

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.export import DateWindow
from airflow_provider_arm.get_provider_info import get_provider_info
from airflow_provider_arm.operators.ar_item import ArItemExportOperator
from airflow_provider_arm.operators.batch import BatchSubmitOperator
from airflow_provider_arm.operators.customer import CustomerUpsertOperator
from airflow_provider_arm.operators.document import DocumentCreateOperator
from airflow_provider_arm.operators.reconcile import LedgerReconcileOperator
from airflow_provider_arm.sensors.batch import BatchSensor

SUBMIT = {"task_id": "a", "resource": "documents", "source": "in.csv"}
EXPORT = {"task_id": "a", "path": "a.csv"}


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: BatchSubmitOperator(**SUBMIT | {"resource": "invoices"}), "resource must be one of customers"),
        (lambda: BatchSubmitOperator(**SUBMIT, action="update"), "action must be one of create, not 'update'"),
        (lambda: BatchSubmitOperator(**SUBMIT | {"source": None}), "give either records or source"),
        (lambda: BatchSubmitOperator(**SUBMIT, records=[]), "give either records or source"),
        (lambda: BatchSubmitOperator(**SUBMIT | {"source": "in.xlsx"}), "source must end in .jsonl"),
        (lambda: BatchSubmitOperator(**SUBMIT, rejects_path="r.txt"), "rejects_path must end in .jsonl, .csv"),
        (
            lambda: BatchSubmitOperator(**SUBMIT, chunk_size=100_001),
            "chunk_size must be a whole number between 1 and 100000",
        ),
        (lambda: BatchSubmitOperator(**SUBMIT, chunk_size=True), "chunk_size must be a whole number"),
        (lambda: BatchSubmitOperator(**SUBMIT, max_in_flight=0), "max_in_flight must be a whole number"),
        (lambda: BatchSubmitOperator(**SUBMIT, on_rejected="ignore"), "on_rejected must be one of fail, warn"),
        (lambda: BatchSubmitOperator(**SUBMIT, on_unknown_outcome="retry"), "on_unknown_outcome must be one of"),
        (lambda: DocumentCreateOperator(task_id="a", document={}, on_unknown_outcome="retry"), "on_unknown_outcome"),
        (
            lambda: CustomerUpsertOperator(task_id="a", customer={}, action="put"),
            "action must be one of upsert, update",
        ),
        (lambda: BatchSensor(task_id="a", batch_uuid="1", on_rejected="ignore"), "on_rejected must be one of"),
        (lambda: ArItemExportOperator(**EXPORT, format="xlsx"), "format must be one of jsonl, csv, parquet"),
        (lambda: ArItemExportOperator(**EXPORT, page_size=0), "page_size must be a whole number between 1 and 1000"),
        (lambda: ArItemExportOperator(**EXPORT, workers=33), "workers must be a whole number between 1 and 32"),
        (lambda: DateWindow("2026-02-01", "2026-01-31"), "window: 2026-02-01 to 2026-01-31"),
        (lambda: DateWindow("2026-01-01", "2026-01-31", by="paid on"), "by must be the name of a date"),
        (
            lambda: LedgerReconcileOperator(
                task_id="a", export="a.manifest.json", against="b.csv", path="c", on_difference="ignore"
            ),
            "on_difference must be one of fail, warn, skip",
        ),
    ],
)
def test_invalid_argument_fails_when_the_dag_is_parsed(make, message):
    """One message with the name of the argument and what it may be."""
    with pytest.raises(ArmConfigurationError, match=re.escape(message)):
        make()


@pytest.mark.parametrize("path", ["rejects", "rejects.json", "rejects.parquet", "a.csv/", "a.jsonl.gz"])
def test_rejects_path_with_another_suffix_is_refused(path):
    """The message lists the valid suffixes."""
    with pytest.raises(ArmConfigurationError, match=r"rejects_path must end in \.jsonl, \.csv"):
        BatchSubmitOperator(**SUBMIT, rejects_path=path)


def test_templates_and_outputs_of_tasks_are_checked_at_run_time():
    """Their values are unknown when the DAG is parsed."""
    with DAG("arm_arguments", schedule=None):
        upstream = BaseOperator(task_id="up")
        BatchSubmitOperator(
            task_id="submit",
            resource="{{ params.resource }}",
            action="{{ params.action }}",
            source=upstream.output,
            rejects_path="{{ params.rejects }}",
        )
        ArItemExportOperator(task_id="export", path="{{ ds }}", format="{{ params.format }}")
        DateWindow("{{ data_interval_end | ds }}", "2026-01-01")


def _operators():
    """Return every public operator of the provider."""
    for module in get_provider_info()["operators"][0]["python-modules"]:
        for name, value in vars(importlib.import_module(module)).items():
            if inspect.isclass(value) and value.__module__ == module and issubclass(value, BaseOperator):
                yield pytest.param(value, id=name)


def _arguments(cls):
    """Return the names of the arguments that our classes define."""
    names = set()
    for base in cls.__mro__:
        if base.__module__.startswith("airflow_provider_arm.") and "__init__" in vars(base):
            signature = inspect.signature(inspect.unwrap(vars(base)["__init__"]))
            names |= {each.name for each in signature.parameters.values() if each.kind is each.KEYWORD_ONLY}
    return names


@pytest.mark.parametrize("cls", _operators())
def test_docstring_of_every_operator_has_all_arguments(cls):
    """Inherited arguments, results and errors included: an IDE shows them where the operator is typed."""
    documented = re.findall(r"^:param (\w+):", inspect.cleandoc(cls.__doc__), re.MULTILINE)
    assert len(documented) == len(set(documented))
    assert _arguments(cls) - set(documented) == set()
    assert re.search(r"^:return:", inspect.cleandoc(cls.__doc__), re.MULTILINE)
