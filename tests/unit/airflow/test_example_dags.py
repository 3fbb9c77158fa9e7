"""Example DAGs and other DAG runs in this process: templates, retries, mapping, triggers."""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import pytest
from airflow.sdk import DAG

from airflow_provider_arm.export import DateWindow
from airflow_provider_arm.operators.ar_item import ArItemExportOperator
from airflow_provider_arm.operators.batch import BatchSubmitOperator
from airflow_provider_arm.operators.customer import CustomerUpsertOperator
from airflow_provider_arm.sensors.batch import BatchSensor

EXAMPLES = sorted((Path(__file__).parents[3] / "example_dags").glob("*.py"))


def results(run):
    """Return the result of each task."""
    return {ti.task_id: ti.xcom_pull(task_ids=ti.task_id) for ti in run.get_task_instances()}


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
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
        returned.append({**results(run)["submit"], "batch_uuids": None})
    assert returned[0] == returned[1]
    assert returned[0]["accepted"] == 3


def test_mapped_operators_and_templates_in_a_dag_run(run_dag, arm_sandbox, arm_connection, tmp_path):
    """A mapped sensor waits for the output of a mapped submission."""
    with DAG("arm_mapped", schedule=None, params={"out": str(tmp_path), "day": "2025-02-27"}) as dag:
        customers = CustomerUpsertOperator.partial(task_id="customers").expand(
            customer=[{"customerNo": str(82000 + n), "name": "Canary"} for n in range(3)]
        )
        submit = BatchSubmitOperator.partial(task_id="submit", resource="customers").expand(
            records=[[{"customerNo": str(83000 + n), "name": "A"}] for n in range(2)]
        )
        wait = BatchSensor.partial(task_id="wait", poke_interval=0.1, deferrable=True).expand(batch_uuid=submit.output)
        export = ArItemExportOperator(
            task_id="export",
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
