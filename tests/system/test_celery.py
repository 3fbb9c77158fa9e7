"""Kill workers and the triggerer of Airflow with Celery: all runs succeed, and nothing takes effect twice."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from decimal import Decimal
from pathlib import Path

import psutil
import pytest

from airflow_provider_arm.export import check_export
from airflow_provider_arm.sandbox import ArmSandbox
from tests.system.celery_deployment import WORKERS, CeleryDeployment, missing
from tests.system.dags.invoices import documents

pytestmark = [
    pytest.mark.system,
    pytest.mark.timeout(3600),
    pytest.mark.skipif(
        importlib.metadata.version("apache-airflow-core") < "3.3", reason="Airflow before 3.3 has no task state store"
    ),
    pytest.mark.skipif(bool(missing()), reason=missing() or "nothing is missing"),
]

HERE = Path(__file__).parent
#: Generous: a task that ended with its worker is retried within a minute, but the machine may be busy.
END_SECONDS = 600
#: For a thousand task processes on two processors.
MANY_SECONDS = 1800

#: Longer than any test, and the largest timeout that the connection form allows.
HELD_SECONDS = 3000
#: Longer than the time until the next try runs.
ORPHAN_SECONDS = 90

AR_ITEMS = 3000
WAITS = 500
SUBMISSIONS = "*/documents/batches"


@pytest.fixture(scope="module")
def box():
    """Yield a sandbox whose batches stay pending until the test advances its clock; it accepts documents twice."""
    with ArmSandbox(ar_items=AR_ITEMS, batch_delay=3600, switches={"q15_duplicate_document": "accept"}) as box:
        yield box


@pytest.fixture(scope="module")
def airflow(box, tmp_path_factory):
    """Yield a running Airflow."""
    home = tmp_path_factory.mktemp("airflow")
    connection = box.connection()
    # A task waits for a delayed response until the test has killed it.
    connection["extra"]["timeout"] = HELD_SECONDS
    dags = [HERE / "dags", HERE.parents[1] / "example_dags"]
    with CeleryDeployment(home, dags, connection, {"ARM_OUTPUT": str(home / "quickstart")}) as deployment:
        yield deployment


def sent(box):
    """Return the number of batches of documents that ARM received."""
    return len([call for call in box.requests(method="POST") if call["path"].endswith("/documents/batches")])


def effects(box, prefix):
    """Return how often each invoice with the prefix took effect."""
    return {key: entry["effects"] for key, entry in box.ledger()["documents"].items() if key.startswith(prefix)}


def delay_response(box, method, path, nth, seconds=HELD_SECONDS):
    """Delay the response of the nth such request, which takes effect; by default until the test has killed the task."""
    rule = {"match": {"method": method, "path": path}, "nth": nth, "do": "delay", "when": "after_accept"}
    box.fault({**rule, "seconds": seconds})


def kill_worker_of_waiting_task(airflow, dag_id, run_id, task_id, state, others):
    """Kill the worker of the only instance that still runs when *others* instances of the mapped task are in *state*.

    Returns the map index of that instance, and the worker.
    """

    def one_is_running():
        counts = [airflow.count(dag_id, run_id, task_id, each) for each in (state, "running")]
        return counts == [others, 1]

    airflow.until(one_is_running, END_SECONDS, f"{others} instances of {task_id} are not {state}")
    (waiting,) = airflow.tasks(dag_id, run_id, task_id, "running")
    worker = airflow.worker_of(waiting["pid"])
    airflow.kill(worker)
    return waiting["map_index"], worker


def test_quickstart_succeeds(airflow, box):
    """The unchanged example DAG succeeds on Celery workers."""
    box.reset()
    box.behave(batch_delay=2)
    run_id = airflow.run("arm_quickstart")
    airflow.wait_for_success("arm_quickstart", run_id, END_SECONDS)
    result = {task_id: airflow.returned("arm_quickstart", run_id, task_id) for task_id in ("wait", "export")}
    assert (result["wait"]["submitted"], result["wait"]["rejected"]) == (1200, 7)
    assert result["export"]["rows"] == AR_ITEMS
    assert airflow.task("arm_quickstart", run_id, "wait")["try_number"] == 1


def test_mapped_submissions_and_exports_are_complete_when_workers_are_killed(airflow, box):
    """Worker and triggerer are killed while batches are sent, a worker while pages are read."""
    box.reset()
    delay_response(box, "POST", SUBMISSIONS, 12)
    delay_response(box, "GET", "*/aritems", 6)
    run_id = airflow.run("mapped")

    submission, worker = kill_worker_of_waiting_task(airflow, "mapped", run_id, "submit", "deferred", 7)
    airflow.kill("triggerer")
    box.advance(7200)
    box.behave(batch_delay=0)
    for name in (worker, "triggerer"):
        airflow.start(name)
    export, worker = kill_worker_of_waiting_task(airflow, "mapped", run_id, "export", "success", 11)
    airflow.start(worker)
    airflow.wait_for_success("mapped", run_id, END_SECONDS)

    assert airflow.task("mapped", run_id, "submit", submission)["try_number"] > 1
    assert airflow.task("mapped", run_id, "export", export)["try_number"] > 1
    assert sent(box) == 24
    assert effects(box, "8") == {f"8{n}{number:03}": 1 for n in range(8) for number in range(30)}
    exports = [airflow.returned("mapped", run_id, "export", index) for index in range(12)]
    for result in exports:
        assert hashlib.sha256(Path(result["uri"]).read_bytes()).hexdigest() == result["sha256"]
    lines = [line for result in exports for line in Path(result["uri"]).read_bytes().splitlines()]
    ids = [json.loads(line)["arItemId"] for line in lines]
    assert len(ids) == len(set(ids)) == AR_ITEMS + 240 == box.totals()["arItems"]
    merged = airflow.returned("mapped", run_id, "merge")
    assert check_export(merged["manifest_uri"].removeprefix("file://"))["rows"] == merged["rows"] == len(ids)
    for currency, total in box.totals()["currencies"].items():
        assert Decimal(merged["totals"][currency]["currencyAmount"]) == total["currencyAmount"]


def test_task_sends_nothing_more_when_its_worker_was_killed(airflow, box):
    """The task survives its worker, receives its response late and stops; the next try sends the rest."""
    box.reset()
    delay_response(box, "POST", SUBMISSIONS, 3, ORPHAN_SECONDS)
    run_id = airflow.run("kill_deferred")
    airflow.until(lambda: sent(box) == 3, END_SECONDS, "the third batch was not sent")
    orphan = airflow.task("kill_deferred", run_id, "submit")["pid"]
    worker = airflow.worker_of(orphan)
    airflow.kill_and_orphan(worker)
    assert psutil.pid_exists(orphan)
    airflow.start(worker)
    box.advance(7200)
    box.behave(batch_delay=0)
    airflow.wait_for_success("kill_deferred", run_id, END_SECONDS)
    airflow.until(lambda: not psutil.pid_exists(orphan), 2 * ORPHAN_SECONDS, "the task without a worker has not ended")
    assert airflow.task("kill_deferred", run_id, "submit")["try_number"] == 2
    assert sent(box) == 5
    assert effects(box, "72") == {f"72{number:03}": 1 for number in range(50)}


def test_500_deferred_waits_succeed_when_workers_and_triggerer_are_killed(airflow, box):
    """A worker is killed while the waits start, the triggerer while all wait, a worker while they end."""
    box.reset()
    lines = [json.dumps(each) + "\n" for each in documents("9", WAITS)]
    (airflow.home / "invoices.jsonl").write_text("".join(lines), encoding="utf-8")
    run_id = airflow.run("many_waits")

    def count(state):
        return airflow.count("many_waits", run_id, "wait", state)

    airflow.until(lambda: count("deferred") >= WAITS // 5, MANY_SECONDS, "no wait has started")
    lost = airflow.kill_while_running(WORKERS[0], "many_waits", run_id, "wait")
    airflow.start(WORKERS[0])
    airflow.until(lambda: count("deferred") == WAITS, MANY_SECONDS, "not all instances wait")
    airflow.kill("triggerer")
    airflow.start("triggerer")
    box.advance(7200)
    airflow.until(lambda: count("success") >= WAITS // 5, MANY_SECONDS, "no wait has ended")
    lost += airflow.kill_while_running(WORKERS[1], "many_waits", run_id, "wait")
    airflow.start(WORKERS[1])
    airflow.wait_for_success("many_waits", run_id, MANY_SECONDS)

    assert {airflow.task("many_waits", run_id, "wait", index)["try_number"] > 1 for index in lost} == {True}
    totals = airflow.returned("many_waits", run_id, "add_up")
    assert totals == {"waits": WAITS, "batches": WAITS, "accepted": WAITS}
    assert sent(box) == WAITS
    assert effects(box, "9") == {f"9{number:03}": 1 for number in range(WAITS)}
