"""Manual resolutions of unresolved chunks: by operator, by argument and by command."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from airflow_provider_arm.cli.journal import main
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.exceptions import ArmFailException, ArmTransientException
from airflow_provider_arm.operators.batch import BatchSubmitOperator
from airflow_provider_arm.operators.posting import AutoPostingOperator
from airflow_provider_arm.operators.resolution import SubmissionResolveOperator
from tests.unit.airflow.invoices import documents, effects

if TYPE_CHECKING:
    from pathlib import Path

POSTS = {"method": "POST", "path": "*/batches"}
AUTHOR = {"by": "Controller", "why": "checked in ARM"}


def sent(box):
    """Return the batch submissions that the sandbox has received."""
    return [call for call in box.requests() if call["method"] == "POST" and call["path"].endswith("/batches")]


def submit(path, task_id="submit", **arguments):
    """Return the operator for six invoices in three batches."""
    return BatchSubmitOperator(
        task_id=task_id, resource="documents", records=documents(6), chunk_size=2, journal_path=str(path), **arguments
    )


@pytest.fixture
def stop_submission(arm_sandbox, arm_connection, tmp_path, a_try):
    """Return a function that submits until chunk 2 is unresolved, and returns its chunk_id. By default ARM has it."""

    def stop(when="after_accept"):
        arm_sandbox.behave(batch_delay=3600)
        arm_sandbox.fault({"match": POSTS, "do": "close", "when": when, "nth": 2})
        context = a_try()
        with pytest.raises(ArmTransientException, match="chunk 2"):
            submit(tmp_path).execute(context)
        (unresolved,) = context["ti"].xcoms["unresolved_chunks"]
        return unresolved["chunk_id"]

    return stop


@pytest.fixture
def resolve(tmp_path, a_try):
    """Return a function that runs the operator in a task of its own."""

    def run(resolutions):
        operator = SubmissionResolveOperator(
            task_id="resolve", journal_path=str(tmp_path), submit_task_id="submit", resolutions=resolutions
        )
        return operator.execute(a_try(task_id="resolve"))

    return run


@pytest.mark.parametrize(("verdict", "state", "posts"), [("accepted", "recovered", 3), ("absent", "planned", 4)])
def test_another_task_continues_a_resolved_submission(
    arm_sandbox, stop_submission, resolve, a_try, tmp_path, verdict, state, posts
):
    """With continue_from, it polls the chunk or sends it."""
    chunk_id = stop_submission("after_accept" if verdict == "accepted" else "before_accept")
    resolution = {"chunk_id": chunk_id, "verdict": verdict, **AUTHOR}
    assert resolve(resolution) == [{"chunk_id": chunk_id, "chunk": 2, "verdict": verdict, "state": state}]
    result = submit(tmp_path, "rest", continue_from="submit").execute(a_try(task_id="rest", max_tries=5))
    assert (result["submitted"], len(result["batch_uuids"])) == (6, 2 if verdict == "accepted" else 3)
    assert len(sent(arm_sandbox)) == posts
    arm_sandbox.advance(3600)
    assert effects(arm_sandbox, "documents") == {str(50001 + n): 1 for n in range(6)}


def test_resolution_with_batch_uuid_makes_the_chunk_an_ordinary_batch(stop_submission, resolve, a_try, tmp_path):
    """It is polled and not recovered."""
    chunk_id = stop_submission()
    resolve(json.dumps([{"chunk_id": chunk_id, "verdict": "accepted", "batch_uuid": "Ab-Cd", **AUTHOR}]))
    result = submit(tmp_path).execute(a_try(2))
    assert result["batch_uuids"][1] == "Ab-Cd"
    assert result["recovered"] == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"chunk_id": "ffffffff"}, "no chunk of that journal has the chunk_id ffffffff"),
        ({"why": " "}, "set both by and why"),
        ({"verdict": "absent", "batch_uuid": "x"}, "has no batch_uuid"),
        ({"by": 7}, "each of resolutions"),
    ],
)
def test_invalid_resolution_changes_nothing(stop_submission, resolve, a_try, tmp_path, change, message):
    """The task fails, and the chunk stays unresolved."""
    resolution = {"chunk_id": stop_submission(), "verdict": "accepted", **AUTHOR, **change}
    with pytest.raises((ArmFailException, ArmConfigurationError), match=message):
        resolve([resolution])
    with pytest.raises(ArmTransientException, match="chunk 2"):
        submit(tmp_path).execute(a_try(2))


def test_second_resolution_of_a_chunk_is_ignored(stop_submission, resolve):
    """The state of the first one is returned."""
    chunk_id = stop_submission()
    first = resolve({"chunk_id": chunk_id, "verdict": "accepted", **AUTHOR})
    assert (
        resolve({"chunk_id": chunk_id, "verdict": "absent", **AUTHOR})[0]["state"] == first[0]["state"] == "recovered"
    )


def test_continue_from_needs_a_journal_in_files():
    """In Airflow's task state store a task cannot read another task's journal."""
    with pytest.raises(ArmConfigurationError, match="continue_from needs journal_path"):
        BatchSubmitOperator(task_id="rest", resource="documents", records=documents(1), continue_from="submit")


def test_resolution_decides_an_unresolved_single_write(arm_sandbox, arm_connection, store, make_context):
    """As an argument of the operator; a clear then sends it."""
    arm_sandbox.fault({"match": {"path": "*/autopostings/*"}, "do": "close", "when": "before_accept"})
    posting = {"arItemId": "2218-500002-35078-0", "currencyAmount": 24, "externalId1": "E-1"}
    operator = AutoPostingOperator(task_id="post", method="payment", postings=[posting])
    context = make_context(store)
    with pytest.raises(ArmFailException, match="may or may not have reached ARM"):
        operator.execute(context)
    (unresolved,) = context["ti"].xcoms["unresolved_chunks"]
    operator.resolutions = {"chunk_id": unresolved["chunk_id"], "verdict": "absent", **AUTHOR}
    assert operator.execute(make_context(store, try_number=2, max_tries=1))["status"] == "PROCESSED"
    assert effects(arm_sandbox, "payments") == {"E-1": 1}


# ---- the command


def journal_of(tmp_path: Path) -> str:
    """Return the folder of the task's journal."""
    return str(tmp_path / "d" / "r" / "submit" / "-1")


def test_command_shows_and_resolves_a_chunk(stop_submission, a_try, tmp_path, capsys):
    """Then no chunk is unresolved, and the resolution is shown."""
    chunk_id = stop_submission()
    folder = journal_of(tmp_path)
    assert main(["show", folder]) == 3
    out = capsys.readouterr().out
    assert re.search(rf"^chunk 2: unknown; chunk_id {chunk_id}; .*the connection was lost", out, re.MULTILINE)
    assert out.endswith("3 chunks: 1 accepted, 1 unknown, 1 not started\n")
    arguments = ["--chunk-id", chunk_id, "--verdict", "accepted", "--why", "all four are there", "--by", "Controller"]
    assert main(["resolve", folder, *arguments]) == 0
    assert "resolved as accepted by Controller at 20" in capsys.readouterr().out
    assert main(["show", folder, "--all"]) == 0
    assert "chunk 1: accepted; batch " in capsys.readouterr().out
    assert len(submit(tmp_path).execute(a_try(2))["batch_uuids"]) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "{nowhere}"], "there is no journal in"),
        (["resolve", "{nowhere}", "--chunk-id", "x", "--verdict", "absent", "--why", "y"], "there is no journal in"),
        (
            ["resolve", "{folder}", "--chunk-id", "x", "--verdict", "absent", "--why", "y"],
            "has the chunk_id x: `arm-journal",
        ),
    ],
)
def test_command_reports_unknown_folder_and_chunk(stop_submission, tmp_path, capsys, arguments, message):
    """With exit code 1; no journal is created."""
    stop_submission()
    places = {"nowhere": str(tmp_path / "nowhere"), "folder": journal_of(tmp_path)}
    assert main([argument.format(**places) for argument in arguments]) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()


def test_command_shows_a_journal_in_use(stop_submission, a_try, tmp_path, capsys):
    """The running task continues; a resolution is refused until it ends."""
    from airflow_provider_arm.runtime.journal_location import open_journal

    chunk_id = stop_submission()
    with open_journal(a_try(2), str(tmp_path), durable=True) as journal:
        assert main(["show", journal_of(tmp_path)]) == 3
        arguments = ["--chunk-id", chunk_id, "--verdict", "absent", "--why", "y"]
        assert main(["resolve", journal_of(tmp_path), *arguments]) == 1
        assert "in use by another writer" in capsys.readouterr().err
        journal.write_plan(journal.read_plan())
