"""Export operators against the sandbox."""

from __future__ import annotations

import json
from functools import partial

import pyarrow.parquet as pq
import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.exceptions import ArmFailException, ArmTransientException
from airflow_provider_arm.export import DateWindow, check_export
from airflow_provider_arm.operators.ar_item import ArItemExportOperator
from airflow_provider_arm.operators.export import (
    CustomerExportOperator,
    DocumentExportOperator,
    GlItemExportOperator,
    ListExportOperator,
    LogItemExportOperator,
)
from tests.unit.client.scripted_server import HttpReply, ScriptedServer

FILES = ["a.jsonl", "a.csv.gz", "a.jsonl.zst", "a.parquet"]


def run(kind, path, context, **arguments):
    """Run the operator."""
    return kind(task_id="export", path=str(path), page_size=20, **arguments).execute(context)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("kind", [ArItemExportOperator, CustomerExportOperator, GlItemExportOperator])
def test_export_of_each_list_and_format_matches_its_manifest(
    arm_sandbox, arm_connection, first_try, tmp_path, kind, name
):
    """The result has the values of the manifest."""
    result = run(kind, tmp_path / name, first_try)
    manifest = check_export(str(tmp_path / f"{name}.manifest.json"))
    assert result["rows"] > 20
    assert result["pages"] == -(-result["rows"] // 20)
    for key in ("rows", "pages", "totals", "dates", "sha256", "bytes"):
        assert result[key] == manifest[key]
    assert (result["uri"].rsplit("/", 1)[-1], result["manifest_uri"]) == (name, result["uri"] + ".manifest.json")
    json.dumps(result)


def test_document_export_with_window_by_document_date(arm_sandbox, arm_connection, first_try, tmp_path):
    """The path of the list is assumed."""
    window = DateWindow("2000-01-01", "2030-12-31", by="documentdate")
    result = run(DocumentExportOperator, tmp_path / "a.parquet", first_try, window=window)
    table = pq.read_table(tmp_path / "a.parquet")
    assert table.num_rows == result["rows"] == check_export(str(tmp_path / "a.parquet.manifest.json"))["rows"]
    assert str(table.schema.field("documentDate").type) == "date32[day]"


def test_masked_fields_are_not_in_the_file(arm_sandbox, arm_connection, first_try, tmp_path):
    """The manifest lists their names."""
    arguments = {"mask": ["ssn", "name", "postalAddress"]}
    run(CustomerExportOperator, tmp_path / "plain.jsonl", first_try)
    run(CustomerExportOperator, tmp_path / "a.jsonl", first_try, **arguments)
    plain = [json.loads(line) for line in (tmp_path / "plain.jsonl").read_bytes().splitlines()]
    masked = (tmp_path / "a.jsonl").read_text(encoding="utf-8")
    assert any(record.get("ssn") for record in plain)
    assert not [record["name"] for record in plain if f'"name":"{record["name"]}"' in masked]
    assert all(json.loads(line)["ssn"] is None for line in masked.splitlines() if "ssn" in json.loads(line))
    manifest = json.loads((tmp_path / "a.jsonl.manifest.json").read_text(encoding="utf-8"))
    assert manifest["masked"] == sorted(arguments["mask"])


def test_list_export_uses_the_given_key_amounts_and_columns(arm_sandbox, arm_connection, first_try, tmp_path):
    """Its file equals that of the operator for the same list."""
    arguments = {
        "resource": "/clients/{clientno}/aritems",
        "item_key": "arItemId",
        "amounts": ["currencyAmount"],
        "currency_field": "currency",
    }
    reference = run(ArItemExportOperator, tmp_path / "own.jsonl", first_try)
    result = run(ListExportOperator, tmp_path / "a.jsonl", first_try, **arguments)
    assert result["sha256"] == reference["sha256"]
    assert result["totals"] == {c: {"currencyAmount": t["currencyAmount"]} for c, t in reference["totals"].items()}
    columns = ["arItemId", "currencyAmount", "kid"]
    run(ListExportOperator, tmp_path / "a.parquet", first_try, columns=columns, **arguments)
    assert pq.read_table(tmp_path / "a.parquet").schema.names == columns
    for name in ("a.jsonl", "a.parquet"):
        assert check_export(str(tmp_path / f"{name}.manifest.json"))["rows"] == reference["rows"]


@pytest.mark.parametrize("name", FILES)
def test_log_item_export_matches_its_manifest(first_try, tmp_path, monkeypatch, name):
    """The sandbox has no log items. The path and the fields are assumed; unknown fields are in JSON lines only."""
    records = [{"logItemId": str(n), "createdTime": "2025-02-27T17:03:36.176+01:00", "text": "x"} for n in range(3)]
    body = {"summary": {"pageNo": 1, "totalPages": 1, "totalCount": 3}, "logItems": records}
    with ScriptedServer([HttpReply(body)]) as server:
        conn = {"conn_type": "arm", "host": server.url, "extra": {"client_no": 2218, "access_token": "t"}}
        monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(conn))
        result = run(LogItemExportOperator, tmp_path / name, first_try)
    assert server.requests[0].target == "/clients/2218/logitems?pagesize=20"
    manifest = check_export(str(tmp_path / f"{name}.manifest.json"))
    assert (result["rows"], manifest["records"], manifest["key"]) == (3, "log items", "logItemId")
    if name == "a.jsonl":
        assert [json.loads(line) for line in (tmp_path / name).read_bytes().splitlines()] == records


@pytest.mark.parametrize(
    ("resource", "rows"),
    [
        ("log_items", 2),
        ("document_bundles", 1),
        ("client_configs", 1),
        ("codes", 2),
        ("gl_movements", 1),
        ("adb_intervals", 2),
        ("files", 0),
    ],
)
def test_list_export_of_a_title_uses_the_path_of_the_profile(arm_connection, first_try, tmp_path, resource, rows):
    """The records are as ARM wrote them, because their fields are not documented."""
    result = run(ListExportOperator, tmp_path / "a.jsonl", first_try, resource=resource)
    assert result["rows"] == rows == check_export(str(tmp_path / "a.jsonl.manifest.json"))["rows"]


@pytest.mark.parametrize(
    ("kind", "arguments", "words"),
    [
        (ListExportOperator, {"resource": "clients/1/x"}, ["resource", "log_items, ", "starts with /"]),
        (ListExportOperator, {"resource": "/clients/{clientno}/aritems", "path": "a.csv"}, ["columns are required"]),
        (ListExportOperator, {"resource": "/clients/{clientno}/nosuch"}, ["404"]),
        (CustomerExportOperator, {"mask": ["SSN"]}, ["mask", "SSN"]),
        (CustomerExportOperator, {"mask": "ssn"}, ["mask", "list of names"]),
        (CustomerExportOperator, {"columns": []}, ["columns"]),
        (ArItemExportOperator, {"workers": 0}, ["workers", "between 1 and 32"]),
        (ArItemExportOperator, {"workers": 33}, ["workers", "between 1 and 32"]),
        (ArItemExportOperator, {"path": "a.parquet.gz"}, ["gz.parquet"]),
        (ArItemExportOperator, {"split_by": {"customerno": []}}, ["split_by", "customerno"]),
        (
            ArItemExportOperator,
            {"split_by": {"customerno": ["1"]}, "filters": {"customerno": "1"}},
            ["customerno", "split_by"],
        ),
        (
            ArItemExportOperator,
            {"window": DateWindow("2026-01-01", "2026-01-02"), "filters": {"fromvoucherdate": "2026-01-01"}},
            ["fromvoucherdate", "window"],
        ),
    ],
)
def test_invalid_argument_fails_without_a_file(
    arm_sandbox, arm_connection, first_try, tmp_path, kind, arguments, words
):
    """The message names the argument and what it may be."""
    arguments = {"path": "a.jsonl", **arguments}
    with pytest.raises((ArmFailException, ArmConfigurationError)) as caught:
        run(kind, tmp_path / arguments.pop("path"), first_try, **arguments)
    assert all(word in str(caught.value) for word in words), str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("kind", "arguments"),
    [
        (CustomerExportOperator, {"columns": ["customerNo", "nmae"]}),
        (CustomerExportOperator, {"mask": ("SSN",)}),
        (CustomerExportOperator, {"mask": "ssn"}),
        (ArItemExportOperator, {"columns": "arItemId"}),
        (ArItemExportOperator, {"on_empty": "succed"}),
        (ArItemExportOperator, {"window": {"start": "2026-02-01", "end": "2026-01-01"}}),
    ],
)
def test_wrong_literal_raises_when_the_dag_is_parsed(kind, arguments):
    """Nothing has to run."""
    with pytest.raises(ArmConfigurationError, match=next(iter(arguments))):
        kind(task_id="export", path="a.csv", **arguments)


@pytest.mark.parametrize(
    ("kind", "columns"),
    [
        (CustomerExportOperator, ["customerNo", "{{ params.column }}"]),
        (CustomerExportOperator, "{{ params.columns }}"),
        (GlItemExportOperator, ["bookedAmount"]),  # the profile of the connection may have this name
        (partial(ListExportOperator, resource="codes"), ["anything"]),
    ],
)
def test_fields_that_are_unknown_when_the_dag_is_parsed_pass(kind, columns):
    """They are checked when the task runs."""
    assert kind(task_id="export", path="a.csv", columns=columns).columns == columns


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
@pytest.mark.parametrize(
    ("on_empty", "error"), [("succeed", None), ("skip", AirflowSkipException), ("fail", ArmFailException)]
)
def test_on_empty_decides_about_a_window_without_records(
    arm_sandbox, arm_connection, first_try, tmp_path, name, on_empty, error
):
    """Only an export that succeeds writes files; the file of an earlier run stays."""
    path = tmp_path / name
    path.write_text("of an earlier run")
    arguments = {"window": DateWindow("1999-01-01", "1999-12-31"), "on_empty": on_empty}
    if error is None:
        assert run(ArItemExportOperator, path, first_try, **arguments)["rows"] == 0
        return
    message = "no AR items of voucherdate 1999-01-01 to 1999-12-31"
    with pytest.raises(error, match=message):
        run(ArItemExportOperator, path, first_try, **arguments)
    assert path.read_text() == "of an earlier run"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("on_empty", ["skip", "fail"])
def test_on_empty_does_not_change_an_export_with_records(arm_sandbox, arm_connection, first_try, tmp_path, on_empty):
    """It is complete as always."""
    assert run(ArItemExportOperator, tmp_path / "a.jsonl", first_try, on_empty=on_empty)["rows"] == 200


def test_expired_query_raises_a_transient_error(arm_sandbox, arm_connection, first_try, tmp_path):
    """A retry starts from the beginning."""
    arm_sandbox.behave(q11_expire_after_pages=1)
    with pytest.raises(ArmTransientException, match="no longer keeps its query"):
        run(CustomerExportOperator, tmp_path / "a.jsonl", first_try)
    assert list(tmp_path.iterdir()) == []


def test_arguments_of_a_list_export_are_templated(arm_sandbox, arm_connection, tmp_path):
    """Also those of the window."""
    operator = ListExportOperator(
        task_id="export",
        path="{{ ds }}.jsonl",
        resource="/clients/{clientno}/{{ name }}",
        window=DateWindow("{{ ds }}", "{{ ds }}"),
        columns=["{{ name }}"],
        mask=["{{ name }}"],
    )
    operator.render_template_fields({"ds": "2026-01-05", "name": "logitems"})
    assert (operator.path, operator.resource) == ("2026-01-05.jsonl", "/clients/{clientno}/logitems")
    assert isinstance(operator.window, DateWindow)
    assert str(operator.window.date_range()) == "voucherdate 2026-01-05 to 2026-01-05"
    assert (operator.columns, operator.mask) == (["logitems"], ["logitems"])
