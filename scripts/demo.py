"""Run the quickstart DAG on a real Airflow against the sandbox, check what came of it, and sum it up (make demo).

Everything lives in .demo/quickstart, which is emptied at every start. Exits with 0 only if all of it is true.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".demo" / "quickstart"
OUTPUT = HOME / "output"
AIRFLOW_LOG = HOME / "airflow.log"
RESULTS = HOME / "results.json"
READY = HOME / "sandbox.json"

#: More than one query of ARM gives, so that the demo shows the export splitting its window.
AR_ITEMS = 12_000
BATCH_DELAY = 3
SANDBOX_START_SECONDS = 30
AIRFLOW_SECONDS = 200
CUSTOMERS, MISTAKES = 1200, 7


class DemoError(Exception):
    """Something is not as it should be; the message is for the person at the terminal."""


def main() -> int:
    """Run the demo."""
    started = time.monotonic()
    shutil.rmtree(HOME, ignore_errors=True)
    OUTPUT.mkdir(parents=True)
    try:
        with sandbox() as box:
            say(f"Sandbox of ARM at {box['url']}, {AR_ITEMS} AR items")
            run_airflow(box)
            results = json.loads(RESULTS.read_text(encoding="utf-8"))
            check(results)
    except DemoError as error:
        say(f"\nThe demo failed: {error}")
        return 1
    summarise(results, time.monotonic() - started)
    return 0


@contextmanager
def sandbox() -> Iterator[dict[str, Any]]:
    """Start arm-sandbox on a free port; gives its addresses and credentials."""
    log = HOME / "sandbox.log"
    command = ["arm-sandbox", "--port", "0", "--ready-file", str(READY)]
    command += ["--ar-items", str(AR_ITEMS), "--batch-delay", str(BATCH_DELAY)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT)
    try:
        deadline = time.monotonic() + SANDBOX_START_SECONDS
        while not READY.exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise DemoError(f"the sandbox did not start:\n{tail(log)}")
            time.sleep(0.05)
        yield json.loads(READY.read_text(encoding="utf-8"))
    finally:
        process.terminate()
        process.wait(timeout=SANDBOX_START_SECONDS)


def run_airflow(box: dict[str, Any]) -> None:
    """Make Airflow's database and run the DAG, in a process of its own with its own home."""
    env = {
        **os.environ,
        "AIRFLOW_HOME": str(HOME / "airflow"),
        "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
        "AIRFLOW__CORE__DAGS_FOLDER": str(ROOT / "example_dags"),
        "AIRFLOW_CONN_ARM_DEFAULT": json.dumps(box["connection"]),
        "ARM_OUTPUT": str(OUTPUT),
        "NO_PROXY": "127.0.0.1,localhost",
    }
    say("Airflow: a database of its own, then the DAG arm_quickstart ...")
    with AIRFLOW_LOG.open("wb") as log:
        for command in (["airflow", "db", "migrate"], [sys.executable, __file__, "--inside-airflow"]):
            try:
                code = subprocess.run(
                    command,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    timeout=AIRFLOW_SECONDS,
                    check=False,
                ).returncode
            except subprocess.TimeoutExpired:
                raise DemoError(f"{command[0]} took more than {AIRFLOW_SECONDS} s; see {shown(AIRFLOW_LOG)}") from None
            if code:
                raise DemoError(f"Airflow ended with {code}; the end of {shown(AIRFLOW_LOG)}:\n{tail(AIRFLOW_LOG)}")


def inside_airflow() -> int:
    """Run the DAG as `airflow dags test` does, and write down what its tasks returned."""
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
    facts = {"state": str(run.state), "seconds": time.monotonic() - started, "tasks": tasks}
    RESULTS.write_text(json.dumps(facts), encoding="utf-8")
    return 0 if facts["state"] == "success" else 1


def check(results: dict[str, Any]) -> None:
    """Hold what the tasks say against the files and the numbers that must come out."""
    returned = {name: task["result"] for name, task in results["tasks"].items()}
    export = returned["export"]
    file = Path(export["uri"])
    lines = file.read_bytes().splitlines()
    rejects = Path(returned["wait"]["rejects_uri"].removeprefix("file://")).read_text(encoding="utf-8").splitlines()
    manifest = json.loads(Path(export["manifest_uri"]).read_text(encoding="utf-8"))
    truths = {
        "the customer was taken": returned["customer"]["result"] in {"CREATED", "UPDATED"},
        "all customers were submitted": returned["submit"]["submitted"] == CUSTOMERS,
        "the right customers were refused": returned["wait"]["rejected"] == MISTAKES == len(rejects),
        "every AR item is in the file": export["rows"] == AR_ITEMS == len(lines),
        "the file is the one in the manifest": hashlib.sha256(file.read_bytes()).hexdigest() == manifest["sha256"],
        "the window was split": len(manifest["windows"]) > 1,
    }
    wrong = [truth for truth, holds in truths.items() if not holds]
    if wrong:
        raise DemoError("not true: " + "; ".join(wrong))


def summarise(results: dict[str, Any], seconds: float) -> None:
    """Say what happened, for somebody who sees it for the first time."""
    tasks = {name: task["result"] for name, task in results["tasks"].items()}
    wait, export = tasks["wait"], tasks["export"]
    rejects_file = Path(wait["rejects_uri"].removeprefix("file://"))
    rejects = [json.loads(line) for line in rejects_file.read_text(encoding="utf-8").splitlines()]
    manifest = json.loads(Path(export["manifest_uri"]).read_text(encoding="utf-8"))
    upserted, submitted = tasks["customer"], tasks["submit"]["submitted"]
    say(f"""
  customer   {upserted["customer_no"]}: {upserted["result"]} (account {upserted["account_no"]})
  submit     {submitted} customers of customers.csv in {len(wait["batch_uuids"])} batches
  wait       deferred, no worker held: {wait["accepted"]} accepted, {wait["rejected"]} refused
             (the DAG's policy: up to 1% refused is no failure)""")
    for reject in rejects:
        say(f"               row {reject['_row']:>4}, customer {reject['customerNo']}: {'; '.join(reject['_reasons'])}")
    say(f"  export     {export['rows']} AR items on {export['pages']} pages, complete")
    parts = ", ".join(f"{part['rows']}" for part in manifest["windows"])
    say(f"               ARM gives 10000 per query, so the window was split: {parts} rows")
    for currency, amounts in export["totals"].items():
        say(f"               {currency} {amounts['currencyAmount']:>16} booked, {amounts['currencyBalance']:>16} open")
    say(f"""
  Files      {shown(Path(export["uri"]))}
             {shown(Path(export["manifest_uri"]))}   sha256 {export["sha256"][:16]}...
             {shown(rejects_file)}
             {shown(AIRFLOW_LOG)}

  All true. The DAG took {results["seconds"]:.1f} s, the demo {seconds:.1f} s. Next: make up, to click around.""")


def say(text: str) -> None:
    """Print at once."""
    print(text, flush=True)


def shown(path: Path) -> str:
    """Give the path as seen from the project's folder."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def tail(log: Path) -> str:
    """Give the last lines of a log."""
    return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-25:])


if __name__ == "__main__":
    sys.exit(inside_airflow() if sys.argv[1:] == ["--inside-airflow"] else main())
