"""Airflow on PostgreSQL, Redis and two Celery workers, some of which are killed: all succeeds, nothing is doubled."""

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
#: Bounds, not figures: a task that died with its worker is tried again within a minute, and the machine may be busy.
END_SECONDS = 600
#: A thousand task processes, one after the other on two processors.
MANY_SECONDS = 1800

#: Longer than any of it, and what the connection form takes at most.
HELD_SECONDS = 3000
#: Longer than it takes until another try runs.
ORPHAN_SECONDS = 90

AR_ITEMS = 3000
WAITS = 500
SUBMISSIONS = "*/documents/batches"


@pytest.fixture(scope="module")
def box():
    """Give a sandbox whose batches wait until the test lets them end, and that books twice what comes twice."""
    with ArmSandbox(ar_items=AR_ITEMS, batch_delay=3600, switches={"q15_duplicate_document": "accept"}) as box:
        yield box


@pytest.fixture(scope="module")
def airflow(box, tmp_path_factory):
    """Give a running Airflow."""
    home = tmp_path_factory.mktemp("airflow")
    connection = box.connection()
    # An answer that is held is waited for until the test has killed its caller.
    connection["extra"]["timeout"] = HELD_SECONDS
    dags = [HERE / "dags", HERE.parents[1] / "example_dags"]
    with CeleryDeployment(home, dags, connection, {"ARM_OUTPUT": str(home / "quickstart")}) as deployment:
        yield deployment


def sent(box):
    """Count the batches of documents that reached ARM."""
    return len([call for call in box.requests(method="POST") if call["path"].endswith("/documents/batches")])


def effects(box, prefix):
    """Say how often each invoice of the prefix took effect."""
    return {key: entry["effects"] for key, entry in box.ledger()["documents"].items() if key.startswith(prefix)}


def hold(box, method, path, nth, seconds=HELD_SECONDS):
    """Let the nth such request take effect, and keep its answer, by default until its caller is dead."""
    box.fault(
        {
            "match": {"method": method, "path": path},
            "nth": nth,
            "do": "delay",
            "seconds": seconds,
            "when": "after_accept",
        }
    )


def kill_the_worker_of_the_held(airflow, dag_id, run_id, task_id, state, others):
    """Wait until so many *others* of the mapped task are in the state; kill the worker of the one that cannot be."""

    def one_is_held():
        counts = [airflow.count(dag_id, run_id, task_id, each) for each in (state, "running")]
        return counts == [others, 1]

    airflow.until(one_is_held, END_SECONDS, f"the others of {task_id} do not come to {state}")
    (held,) = airflow.tasks(dag_id, run_id, task_id, "running")
    worker = airflow.worker_of(held["pid"])
    airflow.kill(worker)
    return held["map_index"], worker


def test_quickstart_succeeds(airflow, box):
    """The example as it stands, on workers: every record answered for, and the export is whole."""
    box.reset()
    box.behave(batch_delay=2)
    run_id = airflow.run("arm_quickstart")
    airflow.ends("arm_quickstart", run_id, END_SECONDS)
    result = {task_id: airflow.returned("arm_quickstart", run_id, task_id) for task_id in ("wait", "export")}
    assert (result["wait"]["submitted"], result["wait"]["rejected"]) == (1200, 7)
    assert result["export"]["rows"] == AR_ITEMS
    assert airflow.task("arm_quickstart", run_id, "wait")["try_number"] == 1


def test_mapped_submissions_and_exports_survive_kills(airflow, box):
    """Worker and triggerer die while batches are sent, a worker while pages are read: 24 batches, every item once."""
    box.reset()
    hold(box, "POST", SUBMISSIONS, 12)
    hold(box, "GET", "*/aritems", 6)
    run_id = airflow.run("mapped")

    submission, worker = kill_the_worker_of_the_held(airflow, "mapped", run_id, "submit", "deferred", 7)
    airflow.kill("triggerer")
    box.advance(7200)
    box.behave(batch_delay=0)
    for name in (worker, "triggerer"):
        airflow.start(name)
    export, worker = kill_the_worker_of_the_held(airflow, "mapped", run_id, "export", "success", 11)
    airflow.start(worker)
    airflow.ends("mapped", run_id, END_SECONDS)

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


def test_task_whose_worker_was_killed_sends_nothing_more(airflow, box):
    """The worker dies and its task lives on, gets its answer late, and stops; the next try sends the rest."""
    box.reset()
    hold(box, "POST", SUBMISSIONS, 3, ORPHAN_SECONDS)
    run_id = airflow.run("kill_deferred")
    airflow.until(lambda: sent(box) == 3, END_SECONDS, "the third batch is not sent")
    orphan = airflow.task("kill_deferred", run_id, "submit")["pid"]
    worker = airflow.worker_of(orphan)
    airflow.kill_and_orphan(worker)
    assert psutil.pid_exists(orphan)
    airflow.start(worker)
    box.advance(7200)
    box.behave(batch_delay=0)
    airflow.ends("kill_deferred", run_id, END_SECONDS)
    airflow.until(lambda: not psutil.pid_exists(orphan), 2 * ORPHAN_SECONDS, "the task without a worker lives on")
    assert airflow.task("kill_deferred", run_id, "submit")["try_number"] == 2
    assert sent(box) == 5
    assert effects(box, "72") == {f"72{number:03}": 1 for number in range(50)}


def test_500_deferred_waits_survive_kills(airflow, box):
    """A worker dies while the waits begin, the triggerer in their midst, a worker at their end: each is answered."""
    box.reset()
    lines = [json.dumps(each) + "\n" for each in documents("9", WAITS)]
    (airflow.home / "invoices.jsonl").write_text("".join(lines), encoding="utf-8")
    run_id = airflow.run("many_waits")

    def are(state):
        return airflow.count("many_waits", run_id, "wait", state)

    airflow.until(lambda: are("deferred") >= WAITS // 5, MANY_SECONDS, "no waits begin")
    lost = airflow.kill_at_work(WORKERS[0], "many_waits", run_id, "wait")
    airflow.start(WORKERS[0])
    airflow.until(lambda: are("deferred") == WAITS, MANY_SECONDS, "not all wait")
    airflow.kill("triggerer")
    airflow.start("triggerer")
    box.advance(7200)
    airflow.until(lambda: are("success") >= WAITS // 5, MANY_SECONDS, "no waits end")
    lost += airflow.kill_at_work(WORKERS[1], "many_waits", run_id, "wait")
    airflow.start(WORKERS[1])
    airflow.ends("many_waits", run_id, MANY_SECONDS)

    assert {airflow.task("many_waits", run_id, "wait", index)["try_number"] > 1 for index in lost} == {True}
    found = airflow.returned("many_waits", run_id, "add_up")
    assert found == {"waits": WAITS, "batches": WAITS, "accepted": WAITS}
    assert sent(box) == WAITS
    assert effects(box, "9") == {f"9{number:03}": 1 for number in range(WAITS)}
