"""``BatchSubmitOperator`` with its journal in files, as on Airflow 3.1."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from airflow.sdk import DAG

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.exceptions import ArmFailException, ArmTransientException
from airflow_provider_arm.operators.batch import BatchSubmitOperator
from airflow_provider_arm.runtime.journal_location import JournalKey, open_journal, task_folder
from tests.unit.airflow.invoices import documents

POSTS = {"method": "POST", "path": "*/batches"}


def submit(path, count=20, **arguments):
    """Return the operator with its journal under *path*."""
    return BatchSubmitOperator(
        task_id="submit",
        resource="documents",
        records=documents(count),
        chunk_size=10,
        poll_interval=0.01,
        journal_path=str(path),
        **arguments,
    )


def effects(box):
    """Return how often each document took effect in the sandbox."""
    return [entry["effects"] for entry in box.ledger()["documents"].values()]


def posts(box):
    """Return the batch submissions that the sandbox has received."""
    return [call for call in box.requests() if call["method"] == "POST" and call["path"].endswith("/batches")]


def test_retry_returns_the_same_batches_and_sends_nothing(arm_sandbox, arm_connection, a_try, tmp_path):
    """Without a task state store."""
    first = submit(tmp_path).execute(a_try(1))
    assert submit(tmp_path).execute(a_try(2)) == first
    assert len(posts(arm_sandbox)) == 2


def test_file_url_and_plain_path_name_the_same_journal(arm_sandbox, arm_connection, a_try, tmp_path):
    """The retry sends nothing."""
    first = submit(tmp_path).execute(a_try(1))
    assert submit(f"file://{tmp_path}").execute(a_try(2)) == first


def test_unknown_chunk_stops_every_later_try(arm_sandbox, arm_connection, a_try, tmp_path):
    """With on_unknown_outcome="resend" it is sent again."""
    arm_sandbox.fault({"match": POSTS, "do": "close", "when": "before_accept", "nth": 2})
    for number in (1, 2, 3):
        with pytest.raises(ArmTransientException, match=r"chunk 2 .rows 11 to 20., .* may or may not have reached ARM"):
            submit(tmp_path).execute(a_try(number))
    result = submit(tmp_path, on_unknown_outcome="resend").execute(a_try(4))
    assert len(result["batch_uuids"]) == 2
    assert effects(arm_sandbox) == [1] * 20


def test_each_task_instance_has_a_journal_of_its_own(arm_sandbox, arm_connection, a_try, tmp_path):
    """By DAG, run, task and map index."""
    for names in ({}, {"dag_id": "d2"}, {"run_id": "manual__2026-01-31T00:00:00+00:00"}, {"task_id": "g.t"}):
        submit(tmp_path, 1).execute(a_try(**names))
    submit(tmp_path, 1).execute(a_try(map_index=0))
    submit(tmp_path, 1).execute(a_try(map_index=None))  # a task that is not mapped: the first journal
    assert len(posts(arm_sandbox)) == 5
    folders = {str(path.parent.relative_to(tmp_path)) for path in tmp_path.rglob("writers")}
    assert folders == {
        "d/r/submit/-1",
        "d2/r/submit/-1",
        "d/manual__2026-01-31T00%3A00%3A00%2B00%3A00/submit/-1",
        "d/r/g.t/-1",
        "d/r/submit/0",
    }


@pytest.mark.parametrize("names", [("..", "."), ("a/b", "../../c"), ("x" * 250, "å" * 250), ("x" * 249 + "y", "...")])
def test_folder_names_are_safe_short_and_unique_for_any_id(tmp_path, names):
    """Each id is the name of one folder below the path."""
    folder = task_folder(str(tmp_path), JournalKey(names[0], names[1], "t"))
    parts = str(folder).removeprefix(f"{tmp_path}/").split("/")
    assert len(parts) == 4
    assert all(part.strip(".") and len(part.encode()) <= 200 for part in parts)
    assert str(folder) != str(task_folder(str(tmp_path), JournalKey(names[0] + "z", names[1], "t")))


def test_second_writer_of_the_same_try_is_refused(arm_sandbox, arm_connection, a_try, tmp_path):
    """The message names the other writer."""
    with open_journal(a_try(1), str(tmp_path), durable=True):
        with pytest.raises(ArmFailException, match=r"in use by another writer .DAG d, run r, task submit, try 1"):
            submit(tmp_path).execute(a_try(1))
        assert posts(arm_sandbox) == []
        assert len(submit(tmp_path).execute(a_try(2))["batch_uuids"]) == 2


def test_earlier_try_that_is_still_running_sends_nothing_more(
    arm_sandbox, arm_connection, a_try, tmp_path, monkeypatch
):
    """Airflow considered it dead and started the next one; each document takes effect once."""
    from airflow_provider_arm.client import ArmClient

    arm_sandbox.behave(batch_delay=3600)
    send, results = ArmClient.submit_encoded, []

    def submit_encoded(*arguments):
        receipt = send(*arguments)
        if not results:  # the next try runs between the first chunk's response and its journal entry
            results.append(None)
            with pytest.raises(ArmTransientException, match=r"chunk 1 .* may or may not have reached ARM"):
                submit(tmp_path).execute(a_try(2))
        return receipt

    monkeypatch.setattr(ArmClient, "submit_encoded", submit_encoded)
    with pytest.raises(ArmFailException, match=r"in use by another writer .* try 2"):
        submit(tmp_path).execute(a_try(1))
    assert len(posts(arm_sandbox)) == 2
    # The batchUuid of the earlier try is in the journal, so the chunk is no longer unknown.
    assert len(submit(tmp_path).execute(a_try(3))["batch_uuids"]) == 2
    assert len(posts(arm_sandbox)) == 2
    arm_sandbox.advance(3600)
    assert effects(arm_sandbox) == [1] * 20


def test_journal_is_released_when_a_try_fails(arm_sandbox, arm_connection, a_try, tmp_path):
    """The same try can be run again by hand."""
    arm_sandbox.behave(q16_max_records=2)
    with pytest.raises(ArmFailException, match="422"):
        submit(tmp_path).execute(a_try(1))
    arm_sandbox.behave(q16_max_records=1000)
    assert len(submit(tmp_path).execute(a_try(1))["batch_uuids"]) == 2


def test_retry_on_a_local_disk_without_journal_fails(arm_sandbox, arm_connection, a_try, tmp_path):
    """The disk may be another worker's."""
    for number in (2, 3):
        with pytest.raises(ArmFailException, match="no trace of it on this machine"):
            submit(tmp_path).execute(a_try(number))
    assert posts(arm_sandbox) == []
    assert len(submit(tmp_path, on_unknown_outcome="resend").execute(a_try(4))["batch_uuids"]) == 2
    assert len(submit(tmp_path).execute(a_try(5))["batch_uuids"]) == 2
    assert len(posts(arm_sandbox)) == 2


def test_try_that_fails_before_sending_leaves_a_trace(arm_sandbox, arm_connection, a_try, tmp_path):
    """The next try sends."""
    operator = BatchSubmitOperator(
        task_id="submit",
        resource="documents",
        records=documents(1),
        max_rejected="{{ 'x' }}",
        journal_path=str(tmp_path),
    )
    operator.max_rejected = "x"  # as it is rendered
    with pytest.raises(ArmFailException, match="max_rejected"):
        operator.execute(a_try(1, 0))
    assert len(submit(tmp_path).execute(a_try(2, 1))["batch_uuids"]) == 2


def test_nothing_is_sent_when_the_folder_cannot_be_created(arm_sandbox, arm_connection, a_try, tmp_path):
    """The journal is opened before the first request."""
    (tmp_path / "journal").write_text("", encoding="utf-8")
    with pytest.raises(ArmTransientException, match="cannot be created"):
        submit(tmp_path / "journal").execute(a_try(1))
    assert arm_sandbox.requests() == []


def test_nothing_is_sent_when_a_journal_entry_is_truncated(arm_sandbox, arm_connection, a_try, tmp_path):
    """The retry fails without a further retry."""
    submit(tmp_path).execute(a_try(1))
    (entry,) = tmp_path.rglob("chunk-000001.*")
    entry.write_bytes(entry.read_bytes()[:-20])
    with pytest.raises(ArmFailException, match="is truncated or was changed"):
        submit(tmp_path).execute(a_try(2))
    assert len(posts(arm_sandbox)) == 2


@pytest.mark.parametrize(
    ("path", "words"), [("", "not empty"), ("  ", "not empty"), ("a/relative/path", "must be absolute")]
)
def test_empty_and_relative_journal_path_are_refused(arm_sandbox, arm_connection, a_try, path, words):
    """Also if they come from a template."""
    with pytest.raises(ArmConfigurationError, match=f"journal_path .*{words}|journal_path {words}"):
        submit(path)
    operator = submit("/rendered")
    operator.journal_path = path
    with pytest.raises(ArmFailException, match="journal_path"):
        operator.execute(a_try(1))
    assert arm_sandbox.requests() == []


def test_plan_only_writes_no_journal(arm_sandbox, arm_connection, a_try, tmp_path):
    """Nothing is sent."""
    submit(tmp_path, plan_only=True).execute(a_try(1))
    assert list(tmp_path.iterdir()) == []


def test_journal_files_contain_no_record(arm_sandbox, arm_connection, a_try, tmp_path):
    """Neither a key nor a value, also if a refusal of ARM contains one."""
    rows = [{**record, "documentText": "Canary"} for record in documents(2)]
    arm_sandbox.behave(q16_max_records=1)
    with pytest.raises(ArmFailException):
        BatchSubmitOperator(task_id="submit", resource="documents", records=rows, journal_path=str(tmp_path)).execute(
            a_try(1)
        )
    stored = [json.loads(path.read_bytes()) for path in tmp_path.rglob("*.json")]
    assert {kind for each in stored for kind in each["content"]} >= {"state", "writer", "chunks"}
    assert not [each for each in stored if "Canary" in str(each) or "50001" in str(each) or "543210" in str(each)]


def test_journal_path_is_templated():
    """A DAG may read it from a variable."""
    assert "journal_path" in BatchSubmitOperator.template_fields


@pytest.mark.parametrize("deferrable", [False, True])
def test_mapped_task_and_its_retry_use_their_journals_in_airflow(
    run_dag, arm_sandbox, arm_connection, tmp_path, monkeypatch, deferrable
):
    """One journal per map index, at a templated path."""
    from airflow_provider_arm.client.http import retry

    monkeypatch.setattr(retry.SystemClock, "sleep", lambda *_: None)
    arm_sandbox.fault({"match": POSTS, "do": "status", "status": 429, "nth": 2, "times": 5})
    with DAG(f"arm_journal_path_{deferrable}".lower(), schedule=None) as dag:
        BatchSubmitOperator.partial(
            task_id="submit",
            resource="documents",
            chunk_size=1,
            wait_for_completion=True,
            deferrable=deferrable,
            poll_interval=0.1,
            journal_path=f"{tmp_path}/{{{{ ds_nodash | default('manual') }}}}",
            retries=1,
            retry_delay=timedelta(0),
        ).expand(records=[documents(4)[:2], documents(4)[2:]])
    assert str(run_dag(dag).state) == "success"
    assert effects(arm_sandbox) == [1] * 4
    assert len(posts(arm_sandbox)) == 4 + 5
    assert sorted(path.parent.name for path in tmp_path.rglob("writers")) == ["0", "1"]
