"""Example DAGs and other DAG runs in this process: templates, retries, mapping, triggers."""

from __future__ import annotations

import json
from collections import Counter
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from airflow.sdk import DAG

from airflow_provider_arm.client import money
from airflow_provider_arm.export import DateWindow, check_export
from airflow_provider_arm.operators.ar_item import ArItemExportOperator
from airflow_provider_arm.operators.batch import BatchSubmitOperator
from airflow_provider_arm.operators.customer import CustomerUpsertOperator
from airflow_provider_arm.sandbox import ArmSandbox
from airflow_provider_arm.sensors.batch import BatchSensor

EXAMPLES = sorted((Path(__file__).parents[3] / "example_dags").glob("*.py"))
ENTITIES = EXAMPLES[0].with_name("arm_legal_entities.py")


def results(run):
    """Return the result of each task."""
    return {ti.task_id: ti.xcom_pull(task_ids=ti.task_id) for ti in run.get_task_instances()}


@pytest.fixture
def accounts(monkeypatch, tmp_path):
    """Yield the sandboxes of two ARM accounts with two client numbers each, which have connections."""
    monkeypatch.setenv("ARM_OUTPUT", str(tmp_path))
    with ArmSandbox(clients=[2218, 2219]) as default, ArmSandbox(seed=8, clients=[3301, 3302]) as subsidiaries:
        monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(default.connection()))
        monkeypatch.setenv("AIRFLOW_CONN_ARM_SUBSIDIARIES", json.dumps(subsidiaries.connection()))
        yield default, subsidiaries


# The DAG of several legal entities needs two sandboxes, and has tests of its own.
@pytest.mark.parametrize("path", [path for path in EXAMPLES if path != ENTITIES], ids=lambda path: path.stem)
def test_example_dag_succeeds_against_the_sandbox(
    run_dag, load_dags, arm_sandbox, arm_connection, tmp_path, monkeypatch, path
):
    """It is loaded without an import error."""
    monkeypatch.setenv("ARM_OUTPUT", str(tmp_path))
    dags = load_dags(path)
    assert dags
    for dag in dags.values():
        assert str(run_dag(dag).state) == "success"


def test_quickstart_results_match_effect_log_and_files(
    run_dag, load_dags, arm_sandbox, arm_connection, tmp_path, monkeypatch
):
    """The wait is deferred."""
    monkeypatch.setenv("ARM_OUTPUT", str(tmp_path))
    arm_sandbox.behave(batch_delay=1)
    run = run_dag(load_dags(EXAMPLES[0].with_name("arm_quickstart.py"))["arm_quickstart"])
    returned = results(run)
    assert str(run.state) == "success"
    assert (returned["wait"]["submitted"], returned["wait"]["rejected"]) == (1200, 7)
    ledger = arm_sandbox.ledger()
    effects = {key: entry["effects"] for key, entry in ledger["customers"].items() if key.startswith("10")}
    assert len(effects) == 1193
    assert set(effects.values()) == {1}
    assert returned["export"]["rows"] == len((tmp_path / "aritems.jsonl").read_bytes().splitlines())
    assert "Canary" not in json.dumps(returned)


def test_nightly_export_exports_each_item_once(run_dag, load_dags, arm_sandbox, arm_connection, tmp_path, monkeypatch):
    """The second run finds nothing new and skips the load."""
    monkeypatch.setenv("ARM_OUTPUT", str(tmp_path))
    dag = load_dags(EXAMPLES[0].with_name("arm_nightly.py"))["arm_nightly"]
    nights = [run_dag(dag) for _ in range(2)]
    assert [str(night.state) for night in nights] == ["success", "success"]
    assert [results(night)["export_new"]["rows"] for night in nights] == [arm_sandbox.totals()["arItems"], 0]
    loads = [str(ti.state) for night in nights for ti in night.get_task_instances() if ti.task_id == "load"]
    assert loads == ["success", "skipped"]


def test_legal_entities_are_exported_and_reconciled_each_by_itself(run_dag, load_dags, accounts, tmp_path):
    """The totals of all are the exact sums of records that each belong to one client number."""
    run = run_dag(load_dags(ENTITIES)["arm_legal_entities"])
    assert str(run.state) == "success"
    published = json.loads((tmp_path / "2025" / "entities.json").read_text(encoding="utf-8"))
    balances, rows = Counter(), []
    for entity in published["entities"]:
        folder = tmp_path / "2025" / f"{entity['arm_conn_id']}-{entity['client_no']}"
        manifest = check_export(entity["manifest_uri"])
        assert (entity["manifest_uri"], manifest["list"]) == (
            f"{folder}/aritems.jsonl.manifest.json",
            f"clients/{entity['client_no']}/aritems",
        )
        files = [folder / part["file"] for part in manifest["parts"]]
        items = [money.decode(line) for file in files for line in file.read_bytes().splitlines()]
        assert {item["clientNo"] for item in items} == {entity["client_no"]}
        for item in items:
            balances[item["currency"]] += item["currencyBalance"]
        rows.append(len(items))
        report = json.loads((folder / "reconciliation.json").read_text(encoding="utf-8"))
        assert (report["matches"], report["right"]["files"][0]["rows"]) == (True, len(items))
    assert [entity["rows"] for entity in published["entities"]] == rows
    assert len(set(rows)) > 1
    assert {currency: Decimal(text) for currency, text in published["currencyBalance"].items()} == dict(balances)


def test_legal_entity_that_fails_does_not_stop_the_others(run_dag, load_dags, accounts, tmp_path):
    """The totals of all are not published."""
    default, _ = accounts
    default.fault({"match": {"path": "*/clients/2219/glitems"}, "do": "status", "status": 403, "times": 0})
    clients = [{"arm_conn_id": "arm_default", "client_no": number} for number in (2218, 2219)]
    run = run_dag(load_dags(ENTITIES)["arm_legal_entities"], run_conf={"entities": clients})
    states = {(ti.task_id, ti.map_index): str(ti.state) for ti in run.get_task_instances()}
    assert [states["entity.gl_items", 1], states["entity.ar_items", 1]] == ["failed", "success"]
    assert [states["entity.reconcile", index] for index in (0, 1)] == ["success", "upstream_failed"]
    assert states["publish", -1] == "upstream_failed"
    assert not (tmp_path / "2025" / "entities.json").exists()


@pytest.mark.parametrize("deferrable", [False, True])
def test_refused_credentials_fail_the_task_without_retry(run_dag, arm_sandbox, arm_connection, deferrable):
    """The first batch has taken effect once."""
    arm_sandbox.fault(
        {"match": {"method": "PUT", "path": "*/batches"}, "do": "token_refused", "once": True, "times": 2, "nth": 2}
    )
    with DAG(f"arm_retry_{deferrable}".lower(), schedule=None) as dag:
        BatchSubmitOperator(
            task_id="submit",
            resource="customers",
            action="update",
            records=[{"customerNo": "543210", "informalName": name} for name in "ab"],
            chunk_size=1,
            wait_for_completion=True,
            deferrable=deferrable,
            poll_interval=0.1,
            retries=1,
            retry_delay=timedelta(0),
        )
    run = run_dag(dag)
    # A retry cannot help, so there is none.
    assert str(run.state) == "failed"
    assert arm_sandbox.ledger()["customers"]["543210"]["effects"] == 1


def test_result_is_the_same_deferred_and_on_a_worker(run_dag, arm_sandbox, arm_connection):
    """Apart from the batchUuids."""
    arm_sandbox.behave(batch_delay=0.5)
    returned = []
    for deferrable in (False, True):
        with DAG(f"arm_submit_{deferrable}".lower(), schedule=None) as dag:
            BatchSubmitOperator(
                task_id="submit",
                resource="customers",
                records=[{"customerNo": str(81000 + n), "name": "A"} for n in range(3)],
                wait_for_completion=True,
                deferrable=deferrable,
                poll_interval=0.1,
            )
        run = run_dag(dag)
        assert str(run.state) == "success"
        result = results(run)["submit"]
        assert list(result["batch_records"]) == result.pop("batch_uuids")
        returned.append({**result, "batch_records": list(result["batch_records"].values())})
    assert returned[0] == returned[1]
    assert returned[0]["accepted"] == 3


def test_mapped_operators_and_templates_in_a_dag_run(run_dag, arm_sandbox, arm_connection, tmp_path):
    """A mapped sensor waits for the output of a mapped submission."""
    params = {"out": str(tmp_path), "day": "2025-02-27", "conn": "arm_default", "client": 2218}
    with DAG("arm_mapped", schedule=None, params=params) as dag:
        customers = CustomerUpsertOperator.partial(task_id="customers").expand(
            customer=[{"customerNo": str(82000 + n), "name": "Canary"} for n in range(3)]
        )
        submit = BatchSubmitOperator.partial(task_id="submit", resource="customers").expand(
            records=[[{"customerNo": str(83000 + n), "name": "A"}] for n in range(2)]
        )
        wait = BatchSensor.partial(task_id="wait", poke_interval=0.1, deferrable=True).expand(batch_uuid=submit.output)
        export = ArItemExportOperator(
            task_id="export",
            arm_conn_id="{{ params.conn }}",
            client_no="{{ params.client }}",
            path="{{ params.out }}/a.jsonl",
            filters={"customerno": "{{ '543210' }}"},
            window=DateWindow(start="{{ params.day }}", end="{{ params.day }}"),
        )
        customers >> submit
        wait >> export
    run = run_dag(dag)
    assert str(run.state) == "success"
    effects = {key: entry["effects"] for key, entry in arm_sandbox.ledger()["customers"].items()}
    assert {key: effects.get(key) for key in ("82000", "82001", "82002", "83000", "83001")} == dict.fromkeys(
        ("82000", "82001", "82002", "83000", "83001"), 1
    )
    assert {json.loads(line)["voucherDate"] for line in (tmp_path / "a.jsonl").open(encoding="utf-8")} == {"2025-02-27"}


@pytest.mark.parametrize("deferrable", [False, True])
def test_one_sensor_waits_for_a_mapped_submission(run_dag, arm_sandbox, arm_connection, tmp_path, deferrable):
    """The rejects of all its files are in one rejects file, a valid source."""
    arm_sandbox.behave(batch_delay=0.2)
    sources = []
    for part in range(3):
        rows = [{"customerNo": str(83100 + 10 * part + n), "name": "A"} for n in range(3)]
        if part:
            rows[1]["organizationNo"] = "312345678"
        sources.append(tmp_path / f"{part}.jsonl")
        sources[-1].write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    with DAG(f"arm_mapped_one_sensor_{deferrable}".lower(), schedule=None) as dag:
        submit = BatchSubmitOperator.partial(task_id="submit", resource="customers", chunk_size=2).expand(
            source=[str(source) for source in sources]
        )
        BatchSensor(
            task_id="wait",
            batch_uuid=submit.output,
            poke_interval=0.1,
            deferrable=deferrable,
            max_rejected="25%",
            rejects_path=str(tmp_path / "rejects.csv"),
        )
    run = run_dag(dag)
    assert str(run.state) == "success"
    result = results(run)["wait"]
    assert (len(result["batch_uuids"]), result["submitted"], result["accepted"], result["rejected"]) == (6, 9, 7, 2)
    again = BatchSubmitOperator(task_id="again", resource="customers", source=result["rejects_uri"], plan_only=True)
    assert again.execute({})["records"] == 2


def test_sensor_without_the_output_of_a_submission_names_the_reason(run_dag, arm_sandbox, arm_connection, capfd):
    """A task with do_xcom_push=False pushes nothing."""
    with DAG("arm_no_xcom", schedule=None) as dag:
        submit = BatchSubmitOperator(
            task_id="submit", resource="customers", records=[{"customerNo": "83200", "name": "A"}], do_xcom_push=False
        )
        BatchSensor(task_id="wait", batch_uuid=submit.output, poke_interval=0.1)
    run = run_dag(dag)
    assert {ti.task_id: str(ti.state) for ti in run.get_task_instances()} == {"submit": "success", "wait": "failed"}
    assert "do_xcom_push" in "".join(capfd.readouterr())


def test_log_of_failed_tasks_has_no_personal_data_and_no_secret(run_dag, arm_sandbox, arm_connection, capfd, tmp_path):
    """Tracebacks included."""
    person = {"customerNo": "84001", "name": "Canary Kari", "phoneNo": "00011223", "ssn": "01819012345"}
    source = tmp_path / "in.jsonl"
    source.write_text(json.dumps({**person, "dueDays": "Canary soon"}) + "\n", encoding="utf-8")
    with DAG("arm_silent", schedule=None) as dag:
        CustomerUpsertOperator(task_id="refused_by_arm", customer={**person, "emailAddressDocument": ["canary"]})
        CustomerUpsertOperator(task_id="refused_here", customer={**person, "dateOfBirth": "canary"})
        BatchSubmitOperator(task_id="wrong_file", resource="customers", source=str(source))
        BatchSubmitOperator(
            task_id="rejected",
            resource="customers",
            records=[{**person, "organizationNo": "312345678"}],
            wait_for_completion=True,
        )
    run = run_dag(dag)
    assert {str(ti.state) for ti in run.get_task_instances()} == {"failed"}
    printed = capfd.readouterr()
    text = printed.out + printed.err
    assert "Task failed with exception" in text
    for canary in ("anary", "00011223", "01819012345", "312345678", arm_sandbox.client_secret, "Bearer ey"):
        assert canary not in text, canary
