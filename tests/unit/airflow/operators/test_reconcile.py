"""``LedgerReconcileOperator`` with exports of the sandbox's two ledgers."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import shutil
from decimal import Decimal
from pathlib import Path

import pytest
from airflow.providers.common.compat.sdk import AirflowSkipException
from airflow.sdk import DAG

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.exceptions import ArmFailException
from airflow_provider_arm.export import DateWindow
from airflow_provider_arm.operators.ar_item import ArItemExportOperator
from airflow_provider_arm.operators.document import DocumentCreateOperator
from airflow_provider_arm.operators.export import GlItemExportOperator
from airflow_provider_arm.operators.reconcile import LedgerReconcileOperator
from airflow_provider_arm.sandbox import ArmSandbox
from tests.unit.airflow.invoices import invoice

EXAMPLES = Path(__file__).parents[4] / "example_dags"
LEDGERS = (ArItemExportOperator, GlItemExportOperator)
OCTOBER = DateWindow("2025-10-01", "2025-10-31")


def run(tmp_path, context, export, against, **arguments):
    """Run the operator."""
    arguments = {"path": str(tmp_path / "report"), **arguments}
    return LedgerReconcileOperator(task_id="reconcile", export=export, against=against, **arguments).execute(context)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Yield a function that exports both ledgers of one sandbox, once per format and window."""
    known, folder = {}, tmp_path_factory.mktemp("exports")
    with ArmSandbox() as box, pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(box.connection()))

        def export(name="jsonl", window=None):
            if (name, str(window)) not in known:
                paths = {kind: folder / f"{len(known)}.{kind.__name__}.{name}" for kind in LEDGERS}
                known[name, str(window)] = tuple(
                    kind(task_id="export", path=str(path), window=window).execute({}) for kind, path in paths.items()
                )
            return known[name, str(window)]

        yield export


@pytest.mark.parametrize("name", ["jsonl", "csv.gz", "zst.parquet"])
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"period": "quarter"},
        {"period": "ledger"},
        {"period": "none", "field": "glAmount", "own_currency": "nok"},
        {"period": "none", "field": "currencyBalance", "against_field": "currencyAmount"},
        {"period": "year", "against_where": {"glAccountNo": 1500}},
    ],
    ids=lambda arguments: " ".join(map(str, arguments.values())) or "months",
)
def test_matching_ledgers_succeed_and_write_both_reports(exported, first_try, tmp_path, name, arguments):
    """Every period and currency is compared."""
    result = run(tmp_path, first_try, *exported(name), **arguments)
    assert (result["matches"], result["differences"]) == (True, 0)
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert (len(report["lines"]), report["differences"]) == (result["lines"], 0)
    assert sum(line["left_rows"] for line in report["lines"]) == report["left"]["files"][0]["rows"] == 200
    assert (result["report_uri"][-10:], result["json_uri"][-12:]) == ("/report.md", "/report.json")
    assert "**AR items and GL items match**" in (tmp_path / "report.md").read_text(encoding="utf-8")


@pytest.fixture
def late(arm_sandbox, arm_connection, first_try, tmp_path):
    """Return both exports, between which an invoice of 100.25 was booked: only the GL export contains it."""
    ar = ArItemExportOperator(task_id="ar", path=str(tmp_path / "ar.csv"), window=OCTOBER).execute(first_try)
    amounts = {"exclVat": Decimal("80.20"), "vat": Decimal("20.05"), "inclVat": Decimal("100.25")}
    document = {**invoice(990001), "documentDate": "2025-10-31", "currencyAmounts": amounts}
    DocumentCreateOperator(task_id="late", document=document).execute(first_try)
    gl = GlItemExportOperator(task_id="gl", path=str(tmp_path / "gl.parquet"), window=OCTOBER).execute(first_try)
    return ar, gl


def test_invoice_in_one_ledger_only_fails_the_task(late, first_try, tmp_path):
    """Without a retry; message, XCom and report have period and amount."""
    with pytest.raises(ArmFailException) as caught:
        run(tmp_path, first_try, *late)
    assert str(caught.value).startswith("AR items and GL items differ in 1 of ")
    assert "first in 2025-10 NOK (differs); see " in str(caught.value)
    report = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert [line["difference"] for line in report["lines"] if line["status"] == "differs"] == ["-100.25"]
    result = first_try["ti"].xcoms["reconciliation"]
    assert (result["matches"], result["differences"]) == (False, 1)
    assert "| 2025-10 | NOK |" in result["summary"]
    assert "| -100.25 | **differs** |" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_on_difference_and_tolerance_decide_task_outcome(late, first_try, tmp_path, caplog):
    """The task succeeds with a warning, is skipped with its XCom, or succeeds within the tolerance."""
    result = run(tmp_path, first_try, *late, on_difference="warn")
    assert (result["matches"], result["periods"], first_try["ti"].xcoms) == (False, ["2025-10"], {})
    assert "do not match" in caplog.text
    with pytest.raises(AirflowSkipException, match="first in 2025-10 NOK"):
        run(tmp_path, first_try, *late, on_difference="skip")
    assert first_try["ti"].xcoms["reconciliation"] == result
    assert run(tmp_path, first_try, *late, tolerance={"NOK": "100.25"})["matches"]
    with pytest.raises(ArmFailException):
        run(tmp_path, first_try, *late, tolerance={"NOK": "100.24"})


def test_filter_without_records_is_a_difference(exported, first_try, tmp_path):
    """On one side or on both."""
    ar, gl = exported()
    with pytest.raises(ArmFailException, match="missing on the right"):
        run(tmp_path, first_try, ar, gl, against_where={"glAccountNo": "1501"})
    empty = {"where": {"voucherType": 99}, "against_where": {"glAccountNo": "1501"}}
    with pytest.raises(ArmFailException, match="empty on both sides"):
        run(tmp_path, first_try, ar, gl, **empty)
    assert run(tmp_path, first_try, ar, gl, **empty, allow_empty=True)["matches"]


def test_figures_from_mapping_and_from_file_are_compared(exported, first_try, tmp_path):
    """A difference of 0.01 fails the task."""
    ar, _ = exported(window=OCTOBER)
    figures = {"2025-10": {currency: totals["currencyAmount"] for currency, totals in ar["totals"].items()}}
    assert run(tmp_path, first_try, ar, figures)["currencies"] == sorted(ar["totals"])
    rows = [f"2025-10;{code};{amount.replace('.', ',')}" for code, amount in figures["2025-10"].items()]
    (tmp_path / "closing.csv").write_text("\n".join(["Period;Currency;Amount", *rows]), encoding="utf-8")
    assert run(tmp_path, first_try, ar["manifest_uri"], str(tmp_path / "closing.csv"))["matches"]
    wrong = {"2025-10": {**figures["2025-10"], "NOK": str(Decimal(figures["2025-10"]["NOK"]) + Decimal("0.01"))}}
    with pytest.raises(ArmFailException, match="AR items and given figures differ in 1 of"):
        run(tmp_path, first_try, ar, wrong)


def test_several_exports_are_summed_as_one_side(exported, first_try, tmp_path):
    """As results or as paths of manifests."""
    whole = exported()[1]
    parts = [
        exported(window=DateWindow(*days))[0] for days in [("2000-01-01", "2025-01-31"), ("2025-02-01", "2030-12-31")]
    ]
    assert run(tmp_path, first_try, parts, whole)["matches"]
    assert run(tmp_path, first_try, [part["manifest_uri"] for part in parts], [whole])["matches"]
    with pytest.raises(ArmFailException):
        run(tmp_path, first_try, parts[0], whole)
    assert run(tmp_path, first_try, parts[1], whole, periods="2025-03")["periods"] == ["2025-03"]


def test_changed_file_fails_and_keeps_the_old_report(exported, first_try, tmp_path):
    """The file does not match its manifest."""
    manifests = []
    for result in exported("csv"):
        for uri in (result["uri"], result["manifest_uri"]):
            source = Path(uri.removeprefix("file://"))
            shutil.copy(source, tmp_path / source.name)
        manifests.append(str(tmp_path / source.name))
    run(tmp_path, first_try, *manifests)
    before = (tmp_path / "report.md").read_bytes()
    data = Path(manifests[1].removesuffix(".manifest.json"))
    data.write_bytes(data.read_bytes().replace(b"NOK", b"EUR", 1))
    with pytest.raises(ArmFailException, match=f"{data.name} and its manifest differ in sha256"):
        run(tmp_path, first_try, *manifests)
    assert (tmp_path / "report.md").read_bytes() == before


def test_report_xcom_and_log_contain_no_personal_data(exported, first_try, tmp_path, caplog):
    """No customer, document or payment reference of any record, also if the task fails."""
    ar, gl = exported()
    filters = {"where": {"customerNo": "543210"}, "against_where": {"customerNo": ["543210"], "glAccountNo": "1501"}}
    with pytest.raises(ArmFailException) as caught:
        run(tmp_path, first_try, ar, gl, **filters)
    texts = [(tmp_path / f"report{ending}").read_text(encoding="utf-8") for ending in (".md", ".json")]
    text = "\n".join([*texts, str(caught.value), json.dumps(first_try["ti"].xcoms), caplog.text])
    assert "customerNo: 1 value, not shown" in text
    lines = Path(ar["uri"].removeprefix("file://")).read_text(encoding="utf-8").splitlines()
    people = {
        str(json.loads(line)[name]) for line in lines for name in ("customerNo", "arItemId", "kid", "externalId1")
    }
    assert [value for value in people if len(value) > 4 and value in text] == []


FIGURES = {"2025-10": {"NOK": "1"}}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"export": {"uri": "a"}}, "export must be the result of an export operator"),
        ({"export": "a.jsonl"}, "ends in .manifest.json"),
        ({"export": None}, "export must be"),
        ({"export": []}, "export must be"),
        ({"export": [{"manifest_uri": "a.manifest.json"}, 7]}, "export must be"),
        ({"against": "{'manifest_uri': 'a'}"}, "against must be"),
        ({"against": 7}, "against must be"),
        ({"against": {}}, "against has no figures"),
        ({"against": {"2025-10": {"NOK": 1.5}}}, "not an exact number"),
        ({"against": {"2025": {"NOK": "1"}}}, 'written as "2025-10"'.replace("2025", "2026")),
        ({"period": "week"}, "period must be one of month, quarter, year, ledger, none"),
        ({"periods": ["October"]}, "periods: a period must be written"),
        ({"periods": []}, "periods must name at least one"),
        ({"tolerance": 0.5}, "tolerance must be an amount"),
        ({"invert_against": "-"}, "invert_against must be True or False"),
        ({"on_difference": "ask"}, "on_difference must be one of fail, warn, skip"),
        ({"own_currency": "kroner"}, "own_currency is not a three-letter code"),
        ({"where": "voucherType"}, "where must be a mapping"),
        ({"against_where": {"glAccountNo": []}}, "against_where: glAccountNo must have a value"),
        ({"field": "balance"}, "AR items have no amount field balance"),
        ({"allow_empty": "perhaps"}, "allow_empty must be True or False"),
    ],
)
def test_invalid_argument_fails_without_a_report(exported, first_try, tmp_path, arguments, message):
    """The message names the argument and what it may be."""
    arguments = {"export": exported()[0], "against": FIGURES, **arguments}
    with pytest.raises((ArmFailException, ArmConfigurationError)) as caught:
        run(tmp_path, first_try, arguments.pop("export"), arguments.pop("against"), **arguments)
    assert message in str(caught.value)
    assert not list(tmp_path.glob("report*"))


def test_missing_file_is_no_permanent_error(first_try, tmp_path):
    """Airflow retries an OSError."""
    with pytest.raises(FileNotFoundError):
        run(tmp_path, first_try, str(tmp_path / "a.jsonl.manifest.json"), FIGURES)


def test_arguments_accept_mapped_results_and_templates(run_dag, exported, tmp_path):
    """In a real DAG run."""
    params = {"out": str(tmp_path), "account": "1500", "gl": exported()[1]["manifest_uri"]}
    with DAG("arm_reconcile", schedule=None, params=params) as dag:
        ar = ArItemExportOperator.partial(task_id="ar").expand_kwargs(
            [
                {"path": str(tmp_path / f"{number}.jsonl"), "window": DateWindow(*days)}
                for number, days in enumerate([("2000-01-01", "2025-01-31"), ("2025-02-01", "2030-12-31")])
            ]
        )
        LedgerReconcileOperator(
            task_id="reconcile",
            export=ar.output,
            against="{{ params.gl }}",
            against_where={"glAccountNo": ["{{ params.account }}"]},
            path="{{ params.out }}/{{ dag.dag_id }}",
            allow_empty="{{ false }}",
        )
    run = run_dag(dag)
    assert str(run.state) == "success"
    report = json.loads((tmp_path / "arm_reconcile.json").read_text(encoding="utf-8"))
    assert (report["matches"], [file["rows"] for file in report["right"]["files"]]) == (True, [200])
    assert sum(file["rows"] for file in report["left"]["files"]) == 200


def test_example_dag_closes_a_month_without_approval_when_ledgers_match(
    run_dag, load_dags, arm_sandbox, arm_connection, tmp_path, monkeypatch
):
    """It publishes the checksums of both files."""
    monkeypatch.setenv("ARM_OUTPUT", str(tmp_path))
    run = run_dag(load_dags(EXAMPLES / "arm_month_end.py")["arm_month_end"])
    states = {ti.task_id: str(ti.state) for ti in run.get_task_instances()}
    assert (states["approve"], states["publish"]) == ("skipped", "success")
    closed = json.loads((tmp_path / "2025-02" / "closed.json").read_text(encoding="utf-8"))
    assert (closed["month"], closed["agrees"], closed["approved"]) == ("2025-02", True, None)
    for name in ("aritems.csv", "glitems.csv"):
        data = (tmp_path / "2025-02" / name).read_bytes()
        assert hashlib.sha256(data).hexdigest() in closed["files"].values()
        assert {row["voucherDate"][:7] for row in csv.DictReader(io.StringIO(data.decode()))} == {"2025-02"}
