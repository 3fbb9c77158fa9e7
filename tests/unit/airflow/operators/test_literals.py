"""Arguments of every operator, sensor and trigger: wrong ones are refused when the DAG is parsed."""

from __future__ import annotations

import inspect
from datetime import timedelta
from importlib import import_module
from pathlib import PurePosixPath
from typing import Any

import pytest
from airflow.providers.common.compat.sdk import AirflowException
from airflow.sdk import DAG, BaseOperator, task_group

from airflow_provider_arm.argument_readers import MAX_SECONDS
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.get_provider_info import get_provider_info
from airflow_provider_arm.sensors.batch import BatchSensor
from airflow_provider_arm.triggers.ar_items import NewArItemsEventTrigger
from airflow_provider_arm.triggers.batch_finished import BatchFinishedEventTrigger

INVOICE = {"customerNo": "1", "documentNo": "2"}
#: Valid arguments of each operator.
VALID: dict[str, dict[str, Any]] = {
    "ArItemExportOperator": {"path": "/t/a.csv"},
    "ArItemUpdateOperator": {"changes": {"arItemId": "1"}},
    "AutoPostingOperator": {"method": "payment", "postings": [{"a": 1}]},
    "BatchSensor": {"batch_uuid": "u"},
    "BatchSubmitOperator": {"resource": "documents", "records": [INVOICE]},
    "CustomerDeleteOperator": {"customer_no": "1"},
    "CustomerExportOperator": {"path": "/t/a.jsonl.gz"},
    "CustomerUpsertOperator": {"customer": {"customerNo": "1"}},
    "DocumentCreateOperator": {"document": INVOICE},
    "DocumentExportOperator": {"path": "/t/a.zst.parquet"},
    "ExportMergeOperator": {"exports": ["/t/a.csv.manifest.json"], "path": "/t/all.csv"},
    "FileUploadOperator": {"paths": ["/t/a.pdf"]},
    "GlItemExportOperator": {"path": "/t/a.csv"},
    "LedgerReconcileOperator": {"export": "/t/a.manifest.json", "against": "/t/b.csv", "path": "/t/report"},
    "ListExportOperator": {"path": "/t/a.jsonl", "resource": "codes"},
    "LogItemExportOperator": {"path": "/t/a.jsonl"},
    "PaymentReservationOperator": {"payment_id": "P", "reservation": {"kid": "1"}},
    "SubmissionResolveOperator": {"journal_path": "/t", "submit_task_id": "s", "resolutions": []},
}
NO_FLAG = ("yes", 1, 0, None, "")
NO_SECONDS = (
    "1 day",
    "",
    -1,
    True,
    float("nan"),
    float("inf"),
    "inf",
    "nan",
    "1e999",
    MAX_SECONDS + 1,
    timedelta(-1),
    [],
)
NO_COUNT = (0, -1, True, 1.5, "1.5", "many", "", None, 10**9, "\uff11")
NO_TEXT = ("", " ", 1.5, True, None, [], "None")
NO_CHOICE = ("maybe", "", None, True, 1, "FAIL")
NO_FOLDER = ("", " ", "relative/folder", 5, "None")
NO_FILE = ("", "a.xlsx", "a", 5, True)
NO_LIST = ("name", 5, {"a": 1}, [1], [""])
NO_RECORD = (None, "", 5, ["a"], [{}])
NO_RECORDS = ("not json", 5, {"a": 1}, [1], "{'a': 1}")
NO_MAPPING = ("a=b", 5, ["a"], {1: "a"})
NO_POLICY = ("few", -1, 1.5, True, None, "2 of 3", "")
NO_RESOLUTIONS = ("text", 5, [1], [{"chunk_id": "c"}])
NO_EXPORTS = (None, "", 5, True, [], ["/t/a.csv"], {"rows": 1}, [None])
#: Wrong values of each argument, by its name; ``""`` and ``None`` are valid for some.
WRONG = {
    "action": NO_CHOICE,
    "against": (*NO_EXPORTS[:-2], "/t/a.txt", {}),
    "against_by": (" ", 5),
    "against_field": (" ", 5),
    "against_where": NO_MAPPING,
    "allow_empty": NO_FLAG,
    "amounts": (None, *NO_LIST),
    "arm_conn_id": NO_TEXT,
    "assume_absent_after": NO_SECONDS,
    "by": NO_TEXT,
    "changes": NO_RECORD,
    "chunk_size": NO_COUNT,
    "client_no": ("abc", 0, -1, True, 1.5),
    "columns": NO_LIST,
    "continue_from": ("", " ", 5),
    "csv_dialect": ("word", 5, True),
    "currency_field": (" ", 5),
    "customer": NO_RECORD,
    "deferrable": NO_FLAG,
    "document": NO_RECORD,
    "durable": NO_FLAG,
    "export": NO_EXPORTS,
    "exports": NO_EXPORTS,
    "field": NO_TEXT,
    "filters": NO_MAPPING,
    "format": ("xlsx", 5, True),
    "ignore_if_missing": NO_FLAG,
    "incremental": NO_FLAG,
    "invert_against": NO_FLAG,
    "item_key": (" ", 5),
    "journal_path": NO_FOLDER,
    "mask": NO_LIST,
    "max_in_flight": NO_COUNT,
    "max_poll_interval": NO_SECONDS,
    "max_rejected": NO_POLICY,
    "method": NO_TEXT,
    "on_difference": NO_CHOICE,
    "on_empty": NO_CHOICE,
    "on_invalid": NO_CHOICE,
    "on_rejected": NO_CHOICE,
    "on_unknown_outcome": NO_CHOICE,
    "options": (" ", 5),
    "overlap": (*NO_SECONDS, None),
    "own_currency": (" ", 5),
    "page_size": NO_COUNT,
    "path": NO_TEXT,
    "paths": ("", [], 5, [5], None),
    "period": ("week", None, 5),
    "periods": ("", [], 5, [5], {"a": 1}),
    "plan_only": NO_FLAG,
    "poke_interval": (*NO_SECONDS, 0, None),
    "poll_interval": (*NO_SECONDS, 0, None),
    "postings": NO_RECORDS,
    "records": NO_RECORDS,
    "registry_path": NO_FOLDER,
    "rejects_path": NO_FILE[1:],
    "reservation": NO_RECORD,
    "resolutions": NO_RESOLUTIONS,
    "resource": NO_TEXT,
    "source": NO_FILE,
    "split_by": NO_MAPPING,
    "submit_dag_id": (" ", 5),
    "submit_map_index": (-2, True, "x", None),
    "submit_run_id": (" ", 5),
    "submit_task_id": NO_TEXT,
    "timeout": NO_SECONDS,
    "tolerance": ("much", -1, 0.5, None),
    "user_id": (" ", 1.5, True),
    "validate_all_fields": NO_FLAG,
    "validate_only": NO_FLAG,
    "verify_pages": NO_FLAG,
    "wait_for_completion": NO_FLAG,
    "warnings_path": NO_FILE[1:],
    "watermark_path": NO_FOLDER,
    "where": NO_MAPPING,
    "workers": NO_COUNT,
}
#: Arguments that are checked elsewhere: the window by its own tests, the others when the task runs, because they are
#: almost always the output of another task.
ELSEWHERE = {"window", "batch_uuid", "customer_no", "payment_id"}


def operators():
    """Return each operator and sensor by its name."""
    info = get_provider_info()
    modules = [*info["operators"][0]["python-modules"], *info["sensors"][0]["python-modules"]]
    classes = [(module, value) for module in map(import_module, modules) for value in vars(module).values()]
    return {
        value.__name__: value
        for module, value in classes
        if inspect.isclass(value) and issubclass(value, BaseOperator) and value.__module__ == module.__name__
    }


OPERATORS = operators()


def own_arguments(operator):
    """Return the arguments of an operator without those of Airflow's base classes."""
    return {
        name
        for cls in operator.__mro__
        if cls.__module__.startswith("airflow_provider_arm")
        for name, parameter in inspect.signature(cls.__init__).parameters.items()
        if parameter.kind is parameter.KEYWORD_ONLY
    }


def build(name, **arguments):
    """Create an operator with valid arguments and these."""
    alternative = {"BatchSubmitOperator": "records", "AutoPostingOperator": "postings"}.get(name)
    source = {alternative: None} if "source" in arguments else {}
    return OPERATORS[name](task_id="t", **{**VALID[name], **source, **arguments})


CASES = [
    pytest.param(name, argument, value, id=f"{name}-{argument}-{value!r}"[:100])
    for name, operator in sorted(OPERATORS.items())
    for argument in sorted(own_arguments(operator) | ({"timeout"} if name == "BatchSensor" else set()))
    for value in WRONG.get(argument, ())
]


def test_every_argument_of_every_operator_has_wrong_values_here():
    """A new argument cannot be forgotten."""
    assert set(VALID) == set(OPERATORS)
    arguments = {argument for operator in OPERATORS.values() for argument in own_arguments(operator)}
    assert arguments - ELSEWHERE == set(WRONG)


@pytest.mark.parametrize("name", sorted(VALID))
def test_valid_arguments_are_accepted(name):
    """So that the others do not fail for another reason."""
    assert build(name).task_id == "t"


@pytest.mark.parametrize(("name", "argument", "value"), CASES)
def test_wrong_literal_is_refused_when_the_dag_is_parsed(name, argument, value):
    """The message names the argument."""
    with pytest.raises((ArmConfigurationError, AirflowException), match=argument):
        build(name, **{argument: value})


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("BatchSubmitOperator", {"resource": "documents", "action": "update"}, "action must be one of create"),
        (
            "BatchSubmitOperator",
            {"resource": "customers", "registry_path": "/r"},
            "registry_path is only for documents",
        ),
        ("BatchSubmitOperator", {"on_invalid": "reject"}, "needs rejects_path"),
        ("BatchSubmitOperator", {"continue_from": "a"}, "needs journal_path"),
        ("BatchSubmitOperator", {"records": None}, "either records or source"),
        ("AutoPostingOperator", {"source": "a.csv"}, ".jsonl or .json"),
        ("ArItemExportOperator", {"path": "a.xlsx"}, "format must be one of"),
        ("ArItemExportOperator", {"path": "a.csv", "format": "parquet"}, "make them agree"),
        ("ArItemExportOperator", {"watermark_path": "/w"}, "no effect without incremental"),
    ],
)
def test_contradicting_literals_are_refused_when_the_dag_is_parsed(name, arguments, words):
    """Some are valid alone."""
    with pytest.raises(ArmConfigurationError, match=words):
        build(name, **arguments)


@pytest.mark.parametrize("name", sorted(VALID))
def test_templates_are_not_checked_when_the_dag_is_parsed(name):
    """Their values are known when the task runs. An argument that is not templated refuses a template."""
    operator = OPERATORS[name]
    for argument in sorted(own_arguments(operator) - ELSEWHERE - {"records", "postings", "source", "poke_interval"}):
        if argument in operator.template_fields:
            build(name, **{argument: "{{ params.value }}"})
        else:
            with pytest.raises(ArmConfigurationError, match=f"{argument} is not templated"):
                build(name, **{argument: "{{ params.value }}"})


def test_arguments_of_a_mapped_task_group_and_functions_are_not_checked():
    """Airflow resolves both when the task runs."""
    with DAG("arm_mapped_group", schedule=None):

        @task_group
        def group(conn_id, path, size):
            return build("ArItemExportOperator", arm_conn_id=conn_id, path=path, page_size=size)

        group.expand_kwargs([{"conn_id": "a", "path": "/t/a.csv", "size": 5}])
        build("CustomerExportOperator", path=lambda context, jinja_env: "/t/a.csv")


@pytest.mark.parametrize(
    ("argument", "value", "read"),
    [
        ("chunk_size", "250", 250),
        ("poll_interval", "0.5", 0.5),
        ("timeout", timedelta(hours=1), 3600),
        ("timeout", "3600", 3600),
        ("timeout", 0, 0),
        ("max_poll_interval", "0", 0),
        ("max_in_flight", " 4 ", 4),
        ("plan_only", "true", True),
        ("client_no", "2218", 2218),
        ("rejects_path", "", None),
        ("rejects_path", PurePosixPath("/t/r.csv"), "/t/r.csv"),
        ("assume_absent_after", "60", 60),
    ],
)
def test_numbers_and_flags_may_be_text(argument, value, read):
    """As a template gives them."""
    from airflow_provider_arm.runtime.arguments import read_arguments

    operator = build("BatchSubmitOperator", **{argument: value})
    read_arguments(operator)
    assert getattr(operator, argument) == read


@pytest.mark.parametrize(
    "arguments",
    [
        {"chunk_size": "many"},
        {"timeout": "1 day"},
        {"poll_interval": "inf"},
        {"rejects_path": "a.xlsx"},
        {"max_rejected": "few"},
        {"resource": "invoices"},
        {"action": "update"},
        {"client_no": "x"},
    ],
)
def test_wrong_rendered_value_fails_before_anything_is_sent(arm_sandbox, arm_connection, first_try, arguments):
    """Also what matters only after the batches are with ARM, such as the time-out."""
    from airflow_provider_arm.exceptions import ArmFailException

    ((argument, value),) = arguments.items()
    operator = build("BatchSubmitOperator", wait_for_completion=True, **{argument: "{{ params.value }}"})
    setattr(operator, argument, value)
    with pytest.raises(ArmFailException, match=argument):
        operator.execute(first_try)
    assert arm_sandbox.requests(path="*/batches") == []


@pytest.mark.parametrize("value", [0, -1, "soon", float("nan"), float("inf"), True, None])
def test_triggers_refuse_wrong_intervals(value):
    """As an infinite interval would never poll."""
    with pytest.raises(ValueError, match="poll_interval"):
        NewArItemsEventTrigger(poll_interval=value)
    with pytest.raises(ValueError, match="poll_interval"):
        BatchFinishedEventTrigger(receipts_path="/r", poll_interval=value)
    if value != 0:
        for argument in ("overlap", "look_back"):
            with pytest.raises(ValueError, match=argument):
                NewArItemsEventTrigger(**{argument: value})


def test_sensor_reads_times_that_are_text():
    """Airflow itself reads numbers only."""
    sensor = BatchSensor(task_id="t", batch_uuid="u", poke_interval="30", timeout="3600", max_wait="60")
    assert (sensor.poke_interval, sensor.timeout, sensor.max_wait) == (30, 3600, timedelta(seconds=60))
