"""Source, plan, journal, sender, client and outcome together, on a socket; the sandbox's ledger is the oracle."""

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
    name,
    suffer,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

PLANNED, _, ACCEPTED, REFUSED, UNKNOWN, FOUND = ChunkState


@pytest.fixture(scope="module")
def running() -> Iterator[ArmSandbox]:
    """One server for the tests of this module."""
    with ArmSandbox(seed=7, ar_items=20) as box:
        yield box


@pytest.fixture
def box(running: ArmSandbox) -> ArmSandbox:
    """The server, as freshly started."""
    running.reset()
    return running


@pytest.fixture(params=["documents", "customers"])
def task(request: pytest.FixtureRequest, box: ArmSandbox) -> Iterator[Task]:
    """A task with five records in three batches."""
    records = {"documents": documents, "customers": customers}[request.param](5)
    made = Task(box, request.param, ListSource(records))
    with made.client:
        yield made


NOT_TAKEN = [
    {"do": "status", "status": 400},
    {"do": "status", "status": 403},
    {"do": "status", "status": 422},
    {"do": "status", "status": 429},
]


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("looks", [True, False], ids=["looked for", "not looked for"])
@pytest.mark.parametrize("rule", LOST, ids=name)
def test_a_lost_answer_never_doubles_an_invoice(running, rule, looks, nth):
    """At any chunk, however it is lost: found once ARM has worked, or a question for a person; the others go."""
    # Every other time ARM is still at work when the next try looks.
    loss = Loss(rule, nth, looks, delay=3600 * ((LOST.index(rule) + nth) % 2), max_in_flight=1 if nth == 2 else 3)
    verdict = suffer(running, loss)
    assert (verdict.doubled, verdict.wrong) == (0, [])


def test_the_ledger_shows_what_a_hasty_resend_would_do(running, monkeypatch):
    """The judge is not blind: a look that takes absent for not taken books twice, and is counted."""
    monkeypatch.setattr(transitions, "decide", lambda seen, **_: decide(seen, settled=True))
    assert suffer(running, Loss(LOST[0], 2, looks=True, delay=3600)).doubled == SIZE


@pytest.mark.parametrize("nth", [1, 2, 3])
@pytest.mark.parametrize("rule", LOST, ids=name)
def test_a_lost_answer_loses_no_customer(box, rule, nth):
    """A customer may be written again: the next attempt completes the run, and only the lost chunk goes twice."""
    box.fault({"match": BATCHES, "nth": nth, **rule})
    task = Task(box, "customers", ListSource(customers(5)))
    with pytest.raises(ArmError):
        task.attempt()
    assert len(task.attempt()) == 3
    submits = task.submits()
    assert len(submits) == 3
    assert [count for index, count in enumerate(submits, 1) if index != nth] == [1, 1]
    assert len(box.ledger()["customers"]) == 5


@pytest.mark.parametrize("rule", NOT_TAKEN, ids=name)
def test_what_certainly_did_not_arrive_is_sent_by_the_next_attempt(task, rule):
    """A refusal and too many requests: nothing happened, so the next attempt sends it, once."""
    task.box.fault({"match": BATCHES, "nth": 2, **rule})
    with pytest.raises(ArmError, match=f"ARM answered {rule['status']}"):
        task.attempt()
    assert task.journal.states() == [ACCEPTED, PLANNED if rule["status"] == 429 else REFUSED]
    assert len(task.attempt()) == 3
    assert task.submits() == [1, 1, 1]


def test_a_batch_without_a_uuid_is_unknown_and_the_resend_is_seen(box, caplog):
    """ARM took it and gave no batchUuid: blocked; sent again on a person's word, the sandbox refuses the doubles."""
    caplog.set_level(logging.INFO)
    task = Task(box, "documents", ListSource(documents(2)))
    box.behave(q01_no_uuid=True)
    with pytest.raises(ResolutionRequiredError, match="no batchUuid"):
        task.attempt()
    box.behave(q01_no_uuid=False)
    [uuid] = task.attempt(resend=True)
    status = task.client.get_batch(uuid)
    assert count_outcomes([status], 2).rejected == 2
    found = list(find_rejects(task.source, 2, [(uuid, status)], "documentNo"))
    assert [reject.key for reject in found] == ["77000000", "77000001"]
    assert {entry["effects"] for entry in box.ledger()["documents"].values()} == {1}
    assert uuid in caplog.text


def test_a_rejects_file_mended_and_sent_again_completes_the_run(box, tmp_path):
    """The whole round: some refused, their lines mended, submitted as they stand; every customer is there once."""
    records = customers(5)
    records[1]["currency"] = records[3]["currency"] = "KRONER"
    first = Task(box, "customers", ListSource(records))
    uuids = first.attempt()
    batches = [(uuid, first.client.get_batch(uuid)) for uuid in uuids]
    assert count_outcomes([status for _, status in batches], 5).rejected == 2
    lines = b"".join(reject_lines(find_rejects(first.source, 2, batches, "customerNo"), "r.jsonl", None))
    assert lines.count(b"Currency: ") == 2
    path = tmp_path / "rejects.jsonl"
    path.write_bytes(lines.replace(b"KRONER", b"NOK"))
    second = Task(box, "customers", FileSource(path, str(path), MODELS["customers"], "customers"))
    [uuid] = second.attempt()
    assert count_outcomes([second.client.get_batch(uuid)], 2).accepted == 2
    assert {key: entry["effects"] for key, entry in box.ledger()["customers"].items()} == {
        f"8800{number:02}": 1 for number in range(5)
    }


def test_a_cleared_task_waits_for_the_batch_in_work(box):
    """On the real codes of ARM: followed while it is 202, sent anew once it is 200."""
    box.behave(batch_delay=60)
    task = Task(box, "customers", ListSource(customers(2)))
    [first] = task.attempt()
    assert task.attempt(clear_count=1) == [first]
    assert task.attempt(clear_count=2) == [first]
    box.advance(61)
    [second] = task.attempt(clear_count=3)
    assert second != first
    assert task.submits() == [2]


def test_a_cleared_task_never_posts_its_invoices_again(box):
    """On the real codes of ARM: followed while it is 202, and once it is 200 because ARM has taken it."""
    box.behave(batch_delay=60)
    task = Task(box, "documents", ListSource(documents(2)))
    [first] = task.attempt()
    assert task.attempt(clear_count=1) == [first]
    box.advance(61)
    assert task.attempt(clear_count=2) == [first]
    assert task.submits() == [1]
