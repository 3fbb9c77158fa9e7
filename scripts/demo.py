"""Run the quickstart DAG on a real Airflow against the sandbox, check its results and print a summary (make demo).

All files are in .demo/quickstart, which is emptied at each start. The exit code is 0 only if every check holds.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from processes import ROOT, SANDBOX_START_SECONDS, Process, ProcessError, Sandbox, relative

HOME = ROOT / ".demo" / "quickstart"
OUTPUT = HOME / "output"
AIRFLOW_LOG = HOME / "airflow.log"
RESULTS = HOME / "results.json"

#: More than the cap of one query, so that the export has to split its window.
AR_ITEMS = 12_000
BATCH_DELAY = 3
AIRFLOW_SECONDS = 200
CUSTOMERS, MISTAKES = 1200, 7


class DemoError(Exception):
    """Error: the DAG failed, or a check does not hold."""


def main() -> int:
    """Run the demo and return the exit code."""
    started = time.monotonic()
    shutil.rmtree(HOME, ignore_errors=True)
    OUTPUT.mkdir(parents=True)
    try:
        with Sandbox(HOME, ar_items=AR_ITEMS, batch_delay=BATCH_DELAY) as sandbox:
            sandbox.wait_until(sandbox.is_ready, SANDBOX_START_SECONDS)
            box = sandbox.ready()
            print(f"Sandbox of ARM at {box['url']}, {AR_ITEMS} AR items; a batch takes {BATCH_DELAY} s", flush=True)
            run_airflow(box)
            results = json.loads(RESULTS.read_text(encoding="utf-8"))
            check(results)
    except (DemoError, ProcessError) as error:
        print(f"\nThe demo failed: {error}")
        return 1
    print_summary(results, time.monotonic() - started)
    return 0


def run_airflow(box: dict[str, Any]) -> None:
    """Create Airflow's database and run the DAG, in a process with its own AIRFLOW_HOME."""
    env = {
        **os.environ,
        "AIRFLOW_HOME": str(HOME / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW_CONN_ARM_DEFAULT": json.dumps(box["connection"]),
        "ARM_OUTPUT": str(OUTPUT),
        "NO_PROXY": "127.0.0.1,localhost",
    }
    print("Airflow: create a database, then run the DAG arm_quickstart ...", flush=True)
    for command in (["airflow", "db", "migrate"], [sys.executable, __file__, "--inside-airflow"]):
        Process("Airflow", command, AIRFLOW_LOG, env=env).complete(AIRFLOW_SECONDS)


def inside_airflow() -> int:
    """Run the DAG as `airflow dags test` does, and store what its tasks returned; return the exit code."""
    file = str(ROOT / "example_dags" / "arm_quickstart.py")
    try:
        from airflow.dag_processing.dagbag import DagBag, sync_bag_to_db

        bag = DagBag(dag_folder=file, bundle_name="dags-folder")
    except ImportError:  # Airflow 3.1
        from airflow.models.dagbag import DagBag, sync_bag_to_db

        bag = DagBag(dag_folder=file)
    if bag.import_errors:
        print(bag.import_errors)
        return 1
    from airflow.dag_processing.bundles.manager import DagBundlesManager

    DagBundlesManager().sync_bundles_to_db()
    sync_bag_to_db(bag, "dags-folder", None)
    dag = bag.dags["arm_quickstart"]
    started = time.monotonic()
    run = dag.test()
    tasks = {
        ti.task_id: {"state": str(ti.state), "result": ti.xcom_pull(task_ids=ti.task_id)}
        for ti in run.get_task_instances()
    }
    results = {"state": str(run.state), "seconds": time.monotonic() - started, "tasks": tasks}
    RESULTS.write_text(json.dumps(results), encoding="utf-8")
    return 0 if results["state"] == "success" else 1


def check(results: dict[str, Any]) -> None:
    """Compare the results of the tasks with the files and the expected numbers; raise DemoError if they differ."""
    returned = {name: task["result"] for name, task in results["tasks"].items()}
    export = returned["export"]
    file = Path(export["uri"])
    lines = file.read_bytes().splitlines()
    rejects = Path(returned["wait"]["rejects_uri"].removeprefix("file://")).read_text(encoding="utf-8").splitlines()
    manifest = json.loads(Path(export["manifest_uri"]).read_text(encoding="utf-8"))
    checks = {
        "the customer was accepted": returned["customer"]["result"] in {"CREATED", "UPDATED"},
        "all customers were submitted": returned["submit"]["submitted"] == CUSTOMERS,
        "the invalid customers were rejected": returned["wait"]["rejected"] == MISTAKES == len(rejects),
        "every AR item is in the file": export["rows"] == AR_ITEMS == len(lines),
        "the file has the checksum of the manifest": hashlib.sha256(file.read_bytes()).hexdigest()
        == manifest["sha256"],
        "the window was split": len(manifest["windows"]) > 1,
    }
    failed = [check for check, holds in checks.items() if not holds]
    if failed:
        raise DemoError("these checks do not hold: " + "; ".join(failed))


def print_summary(results: dict[str, Any], seconds: float) -> None:
    """Print what happened, for a reader who does not know the package."""
    tasks = {name: task["result"] for name, task in results["tasks"].items()}
    wait, export = tasks["wait"], tasks["export"]
    rejects_file = Path(wait["rejects_uri"].removeprefix("file://"))
    rejects = [json.loads(line) for line in rejects_file.read_text(encoding="utf-8").splitlines()]
    manifest = json.loads(Path(export["manifest_uri"]).read_text(encoding="utf-8"))
    upserted, submitted = tasks["customer"], tasks["submit"]["submitted"]
    print(f"""
  customer   {upserted["customer_no"]}: {upserted["result"]} (account {upserted["account_no"]})
  submit     {submitted} customers of customers.csv in {len(wait["batch_uuids"])} batches
  wait       deferred, no worker occupied: {wait["accepted"]} accepted, {wait["rejected"]} rejected
             (the DAG's reject policy: up to 1% rejected does not fail the task)""")
    for reject in rejects:
        print(
            f"               row {reject['_row']:>4}, customer {reject['customerNo']}: {'; '.join(reject['_reasons'])}"
        )
    print(f"  export     {export['rows']} AR items on {export['pages']} pages, complete")
    parts = ", ".join(f"{part['rows']}" for part in manifest["windows"])
    print(f"               ARM returns 10000 records per query, so the window was split: {parts} rows")
    for currency, amounts in export["totals"].items():
        print(
            f"               {currency} {amounts['currencyAmount']:>16} booked, {amounts['currencyBalance']:>16} open"
        )
    print(f"""
  Files      {relative(Path(export["uri"]))}
             {relative(Path(export["manifest_uri"]))}   sha256 {export["sha256"][:16]}...
             {relative(rejects_file)}
             {relative(AIRFLOW_LOG)}

  All checks hold. The DAG took {results["seconds"]:.1f} s, the demo {seconds:.1f} s. Next: make up""")


if __name__ == "__main__":
    sys.exit(inside_airflow() if sys.argv[1:] == ["--inside-airflow"] else main())
