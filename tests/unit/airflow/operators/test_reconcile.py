"""``LedgerReconcileOperator`` against the sandbox's two ledgers: agrees, differs, or has nothing to say."""

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
    """Make the operator and run it."""
    arguments = {"path": str(tmp_path / "report"), **arguments}
    return LedgerReconcileOperator(task_id="reconcile", export=export, against=against, **arguments).execute(context)


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Give a function that exports both ledgers of one sandbox, each of its ways once; nobody changes the files."""
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
def test_two_ledgers_that_agree_pass(exported, first_try, tmp_path, name, arguments):
    """Every period and currency of both; both reports are there and say so."""
    result = run(tmp_path, first_try, *exported(name), **arguments)
    assert (result["matches"], result["differences"]) == (True, 0)
    said = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert (len(said["lines"]), said["differences"]) == (result["lines"], 0)
    assert sum(line["left_rows"] for line in said["lines"]) == said["left"]["files"][0]["rows"] == 200
    assert (result["report_uri"][-10:], result["json_uri"][-12:]) == ("/report.md", "/report.json")
    assert "**AR items and GL items match**" in (tmp_path / "report.md").read_text(encoding="utf-8")


@pytest.fixture
def late(arm_sandbox, arm_connection, first_try, tmp_path):
    """An invoice of 100.25 that was booked after the AR export and before the GL export; gives both results."""
    ar = ArItemExportOperator(task_id="ar", path=str(tmp_path / "ar.csv"), window=OCTOBER).execute(first_try)
    amounts = {"exclVat": Decimal("80.20"), "vat": Decimal("20.05"), "inclVat": Decimal("100.25")}
    document = {**invoice(990001), "documentDate": "2025-10-31", "currencyAmounts": amounts}
    DocumentCreateOperator(task_id="late", document=document).execute(first_try)
    gl = GlItemExportOperator(task_id="gl", path=str(tmp_path / "gl.parquet"), window=OCTOBER).execute(first_try)
    return ar, gl


def test_an_invoice_that_is_in_one_ledger_only_fails_the_task(late, first_try, tmp_path):
    """For good, because the same files will differ again; message, XCom and report name period and amount."""
    with pytest.raises(ArmFailException) as caught:
        run(tmp_path, first_try, *late)
    assert str(caught.value).startswith("AR items and GL items differ in 1 of ")
    assert "first in 2025-10 NOK (differs): see " in str(caught.value)
    said = json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))
    assert [line["difference"] for line in said["lines"] if line["status"] == "differs"] == ["-100.25"]
    result = first_try["ti"].xcoms["reconciliation"]
    assert (result["matches"], result["differences"]) == (False, 1)
    assert "| 2025-10 | NOK |" in result["summary"]
    assert "| -100.25 | **differs** |" in (tmp_path / "report.md").read_text(encoding="utf-8")


def test_the_author_decides_what_a_difference_does(late, first_try, tmp_path, caplog):
    """A warning with the result, a skipped task with its XCom, or a tolerance that takes it."""
    result = run(tmp_path, first_try, *late, on_difference="warn")
    assert (result["matches"], result["periods"], first_try["ti"].xcoms) == (False, ["2025-10"], {})
    assert "do not match" in caplog.text
    with pytest.raises(AirflowSkipException, match="first in 2025-10 NOK"):
        run(tmp_path, first_try, *late, on_difference="skip")
    assert first_try["ti"].xcoms["reconciliation"] == result
    assert run(tmp_path, first_try, *late, tolerance={"NOK": "100.25"})["matches"]
    with pytest.raises(ArmFailException):
        run(tmp_path, first_try, *late, tolerance={"NOK": "100.24"})


def test_an_account_that_is_none_is_never_green(exported, first_try, tmp_path):
    """A choice that finds nothing on one side or on both is a difference, not an agreement."""
    ar, gl = exported()
    with pytest.raises(ArmFailException, match="missing on the right"):
        run(tmp_path, first_try, ar, gl, against_where={"glAccountNo": "1501"})
    nobody = {"where": {"voucherType": 99}, "against_where": {"glAccountNo": "1501"}}
    with pytest.raises(ArmFailException, match="empty on both sides"):
        run(tmp_path, first_try, ar, gl, **nobody)
    assert run(tmp_path, first_try, ar, gl, **nobody, allow_empty=True)["matches"]


def test_figures_are_compared_from_the_dag_and_from_a_file(exported, first_try, tmp_path):
    """The export's own totals as figures agree; one cent beside them does not; manifests stand in for results."""
    ar, _ = exported(window=OCTOBER)
    figures = {"2025-10": {currency: totals["currencyAmount"] for currency, totals in ar["totals"].items()}}
    assert run(tmp_path, first_try, ar, figures)["currencies"] == sorted(ar["totals"])
    rows = [f"2025-10;{code};{amount.replace('.', ',')}" for code, amount in figures["2025-10"].items()]
    (tmp_path / "closing.csv").write_text("\n".join(["Period;Currency;Amount", *rows]), encoding="utf-8")
    assert run(tmp_path, first_try, ar["manifest_uri"], str(tmp_path / "closing.csv"))["matches"]
    wrong = {"2025-10": {**figures["2025-10"], "NOK": str(Decimal(figures["2025-10"]["NOK"]) + Decimal("0.01"))}}
    with pytest.raises(ArmFailException, match="AR items and given figures differ in 1 of"):
        run(tmp_path, first_try, ar, wrong)


def test_several_exports_are_one_side(exported, first_try, tmp_path):
    """A mapped export gives a list of results: together they agree with the whole, one of them alone does not."""
    whole = exported()[1]
    parts = [
        exported(window=DateWindow(*days))[0] for days in [("2000-01-01", "2025-01-31"), ("2025-02-01", "2030-12-31")]
    ]
    assert run(tmp_path, first_try, parts, whole)["matches"]
    assert run(tmp_path, first_try, [part["manifest_uri"] for part in parts], [whole])["matches"]
    with pytest.raises(ArmFailException):
        run(tmp_path, first_try, parts[0], whole)
    assert run(tmp_path, first_try, parts[1], whole, periods="2025-03")["periods"] == ["2025-03"]


def test_a_file_that_was_changed_is_not_compared(exported, first_try, tmp_path):
    """The old report stands; a new one would speak of another file."""
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


def test_no_report_and_no_xcom_names_a_person(exported, first_try, tmp_path, caplog):
    """Neither customers nor documents nor payment references of any record, whatever the way it ends."""
    ar, gl = exported()
    given = {"where": {"customerNo": "543210"}, "against_where": {"customerNo": ["543210"], "glAccountNo": "1501"}}
    with pytest.raises(ArmFailException) as caught:
        run(tmp_path, first_try, ar, gl, **given)
    texts = [(tmp_path / f"report{ending}").read_text(encoding="utf-8") for ending in (".md", ".json")]
    text = "\n".join([*texts, str(caught.value), json.dumps(first_try["ti"].xcoms), caplog.text])
    assert "customerNo: 1 value, not shown" in text
    lines = Path(ar["uri"].removeprefix("file://")).read_text(encoding="utf-8").splitlines()
    people = {
        str(json.loads(line)[name]) for line in lines for name in ("customerNo", "arItemId", "kid", "externalId1")
    }
    assert [value for value in people if len(value) > 4 and value in text] == []


GIVEN = {"2025-10": {"NOK": "1"}}


@pytest.mark.parametrize(
    ("arguments", "says"),
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
def test_a_wrong_argument_is_told(exported, first_try, tmp_path, arguments, says):
    """Each mistake is one sentence, and no report appears."""
    arguments = {"export": exported()[0], "against": GIVEN, **arguments}
    with pytest.raises((ArmFailException, ArmConfigurationError)) as caught:
        run(tmp_path, first_try, arguments.pop("export"), arguments.pop("against"), **arguments)
    assert says in str(caught.value)
    assert not list(tmp_path.glob("report*"))


def test_a_file_that_cannot_be_read_may_be_tried_again(first_try, tmp_path):
    """A store that is away is no difference."""
    with pytest.raises(FileNotFoundError):
        run(tmp_path, first_try, str(tmp_path / "a.jsonl.manifest.json"), GIVEN)


def test_it_takes_what_mapped_tasks_return_and_what_templates_give(run_dag, exported, tmp_path):
    """In a DAG: the XComs of a mapped export and params arrive as they should."""
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
    said = json.loads((tmp_path / "arm_reconcile.json").read_text(encoding="utf-8"))
    assert (said["matches"], [file["rows"] for file in said["right"]["files"]]) == (True, [200])
    assert sum(file["rows"] for file in said["left"]["files"]) == 200


def test_a_month_whose_ledgers_agree_is_closed_without_a_word(
    run_dag, load_dags, arm_sandbox, arm_connection, tmp_path, monkeypatch
):
    """The example DAG asks nobody, and what it publishes names the files by their checksums."""
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
