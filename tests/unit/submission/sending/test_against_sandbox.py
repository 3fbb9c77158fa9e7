"""Source, plan, journal, sender, client and outcome on a real socket, checked by the sandbox's effect log."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import pytest

from airflow_provider_arm.client.errors import ArmError
from airflow_provider_arm.sandbox import ArmSandbox
from airflow_provider_arm.submission.errors import ResolutionRequiredError
from airflow_provider_arm.submission.journal.entries import ChunkState
from airflow_provider_arm.submission.results.outcome import count_outcomes, find_rejects
from airflow_provider_arm.submission.results.rejects_file import reject_lines
from airflow_provider_arm.submission.sending import transitions
from airflow_provider_arm.submission.sending.lookup import decide
from airflow_provider_arm.submission.sources.source import FileSource, ListSource
from tests.unit.submission.records import MODELS
from tests.unit.submission.sending.sandbox_task import (
    BATCHES,
    LOST,
    SIZE,
    Loss,
    Task,
    customers,
    documents,
    fault_name,
    run_with_loss,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PLANNED, _, ACCEPTED, REFUSED, UNKNOWN, RECOVERED = ChunkState


@pytest.fixture(scope="module")
def running() -> Iterator[ArmSandbox]:
    """Run one server for the tests of this module."""
    with ArmSandbox(seed=7, ar_items=20, batch_delay=0) as box:
        yield box


@pytest.fixture
def box(running: ArmSandbox) -> ArmSandbox:
    """Return the server, reset."""
    running.reset()
    return running


@pytest.fixture(params=["documents", "customers"])
def task(request: pytest.FixtureRequest, box: ArmSandbox) -> Iterator[Task]:
    """Return a task with five records in three batches."""
    records = {"documents": documents, "customers": customers}[request.param](5)
    with Task(box, request.param, ListSource(records)) as task:
        yield task


NOT_ACCEPTED = [
    {"do": "status", "status": 400},
    {"do": "status", "status": 403},
    {"do": "status", "status": 422},
    {"do": "status", "status": 429},
]


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("looks_up", [True, False], ids=["with lookup", "without lookup"])
@pytest.mark.parametrize("rule", LOST, ids=fault_name)
def test_lost_response_never_doubles_an_invoice(running, rule, looks_up, nth):
    """At any chunk and with any fault: recovered once ARM has processed it, or unresolved; the others are sent."""
    # Every other time ARM is still processing when the next try runs its lookup.
    loss = Loss(rule, nth, looks_up, delay=3600 * ((LOST.index(rule) + nth) % 2), max_in_flight=1 if nth == 2 else 3)
    result = run_with_loss(running, loss)
    assert (result.doubled, result.wrong) == (0, [])


def test_effect_log_shows_documents_doubled_by_premature_resend(running, monkeypatch):
    """A sender that resends absent documents at once doubles them, and the check counts that."""
    monkeypatch.setattr(transitions, "decide", lambda result, **_: decide(result, assume_absent=True))
    assert run_with_loss(running, Loss(LOST[0], 2, looks_up=True, delay=3600)).doubled == SIZE


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("rule", LOST, ids=fault_name)
def test_lost_response_loses_no_customer(box, rule, nth):
    """A customer may be written again: the next try completes the run, and only the lost chunk is sent twice."""
    box.fault({"match": BATCHES, "nth": nth, **rule})
    task = Task(box, "customers", ListSource(customers(5)))
    with pytest.raises(ArmError):
        task.attempt()
    assert len(task.attempt()) == 3
    submits = task.submits()
    assert len(submits) == 3
    assert [count for index, count in enumerate(submits, 1) if index != nth] == [1, 1]
    assert len(box.ledger()["customers"]) == 5


@pytest.mark.parametrize("rule", NOT_ACCEPTED, ids=fault_name)
def test_refused_or_throttled_chunk_is_sent_by_next_try(task, rule):
    """After 4xx or 429 nothing took effect, so the next try sends the chunk, once."""
    task.box.fault({"match": BATCHES, "nth": 2, **rule})
    with pytest.raises(ArmError, match=f"ARM answered {rule['status']}"):
        task.attempt()
    assert task.journal.states() == [ACCEPTED, PLANNED if rule["status"] == 429 else REFUSED]
    assert len(task.attempt()) == 3
    assert task.submits() == [1, 1, 1]


def test_response_without_batch_uuid_blocks_and_resent_documents_are_rejects(box, caplog):
    """Without a batchUuid the outcome is unknown; resent by choice, the sandbox rejects the duplicates."""
    caplog.set_level(logging.INFO)
    task = Task(box, "documents", ListSource(documents(2)))
    box.behave(q01_no_uuid=True)
    with pytest.raises(ResolutionRequiredError, match="no batchUuid"):
        task.attempt()
    box.behave(q01_no_uuid=False)
    [uuid] = task.attempt(resend=True)
    status = task.client.get_batch(uuid)
    assert count_outcomes([status]).rejected == 2
    rejects = list(find_rejects(task.source, 2, [(uuid, status)], "documentNo"))
    assert [reject.key for reject in rejects] == ["77000000", "77000001"]
    assert {entry["effects"] for entry in box.ledger()["documents"].values()} == {1}
    assert uuid in caplog.text


def test_corrected_rejects_file_completes_the_submission(box, tmp_path):
    """Rejects are corrected in the rejects file, which is submitted as it is: every customer takes effect once."""
    records = customers(5)
    records[1]["currency"] = records[3]["currency"] = "KRONER"
    first = Task(box, "customers", ListSource(records))
    uuids = first.attempt()
    batches = [(uuid, first.client.get_batch(uuid)) for uuid in uuids]
    assert count_outcomes([status for _, status in batches]).rejected == 2
    lines = b"".join(reject_lines(find_rejects(first.source, 2, batches, "customerNo"), "r.jsonl", None))
    assert lines.count(b"Currency: ") == 2
    path = tmp_path / "rejects.jsonl"
    path.write_bytes(lines.replace(b"KRONER", b"NOK"))
    second = Task(box, "customers", FileSource(path, str(path), MODELS["customers"], "customers"))
    [uuid] = second.attempt()
    assert count_outcomes([second.client.get_batch(uuid)]).accepted == 2
    assert {key: entry["effects"] for key, entry in box.ledger()["customers"].items()} == {
        f"8800{number:02}": 1 for number in range(5)
    }


def test_cleared_task_follows_processing_batch_and_resends_finished_customers(box):
    """With ARM's status codes: the batch is followed while it is 202, and sent again once it is 200."""
    box.behave(batch_delay=60)
    task = Task(box, "customers", ListSource(customers(2)))
    [first] = task.attempt()
    assert task.attempt(clear_count=1) == [first]
    assert task.attempt(clear_count=2) == [first]
    box.advance(61)
    [second] = task.attempt(clear_count=3)
    assert second != first
    assert task.submits() == [2]


def test_cleared_task_never_sends_accepted_invoices_again(box):
    """With ARM's status codes: the batch is followed while it is 202, and also once it is 200."""
    box.behave(batch_delay=60)
    task = Task(box, "documents", ListSource(documents(2)))
    [first] = task.attempt()
    assert task.attempt(clear_count=1) == [first]
    box.advance(61)
    assert task.attempt(clear_count=2) == [first]
    assert task.submits() == [1]
