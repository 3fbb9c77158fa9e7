"""What nobody knows is released by a person: by operator, by command, and in another task that goes on."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

import pytest

from airflow_provider_arm.cli.journal import main
from airflow_provider_arm.exceptions import ArmFailException, ArmTransientException
from airflow_provider_arm.operators.batch import BatchSubmitOperator
from airflow_provider_arm.operators.posting import AutoPostingOperator
from airflow_provider_arm.operators.resolution import SubmissionResolveOperator
from tests.unit.airflow.invoices import documents, effects

if TYPE_CHECKING:
    from pathlib import Path

POSTS = {"method": "POST", "path": "*/batches"}
WORD = {"by": "Controller", "why": "looked in ARM"}


def sent(box):
    """Ask the sandbox which batches were sent to it."""
    return [call for call in box.requests() if call["method"] == "POST" and call["path"].endswith("/batches")]


def submit(path, task_id="submit", **arguments):
    """Make the operator for six invoices in three batches."""
    return BatchSubmitOperator(
        task_id=task_id, resource="documents", records=documents(6), chunk_size=2, journal_path=str(path), **arguments
    )


@pytest.fixture
def stopped(arm_sandbox, arm_connection, tmp_path, a_try):
    """A submission whose second batch is with ARM, unless told otherwise, and nobody knows; gives its open case."""

    def stop(when="after_accept"):
        arm_sandbox.behave(batch_delay=3600)
        arm_sandbox.fault({"match": POSTS, "do": "close", "when": when, "nth": 2})
        context = a_try()
        with pytest.raises(ArmTransientException, match="chunk 2"):
            submit(tmp_path).execute(context)
        (case,) = context["ti"].xcoms["unresolved_chunks"]
        return case["chunk_id"]

    return stop


@pytest.fixture
def release(tmp_path, a_try):
    """Give a function that runs the operator in a task of its own."""

    def run(resolutions):
        operator = SubmissionResolveOperator(
            task_id="release", journal_path=str(tmp_path), submit_task_id="submit", resolutions=resolutions
        )
        return operator.execute(a_try(task_id="release"))

    return run


@pytest.mark.parametrize(("verdict", "state", "posts"), [("accepted", "recovered", 3), ("absent", "planned", 4)])
def test_another_task_goes_on_where_the_first_stopped(
    arm_sandbox, stopped, release, a_try, tmp_path, verdict, state, posts
):
    """Released by the operator, the chunk is followed or sent by a task that continues the first one's journal."""
    case = stopped("after_accept" if verdict == "accepted" else "before_accept")
    word = {"chunk_id": case, "verdict": verdict, **WORD}
    assert release(word) == [{"chunk_id": case, "chunk": 2, "verdict": verdict, "state": state}]
    result = submit(tmp_path, "rest", continue_from="submit").execute(a_try(task_id="rest", max_tries=5))
    assert (result["submitted"], len(result["batch_uuids"])) == (6, 2 if verdict == "accepted" else 3)
    assert len(sent(arm_sandbox)) == posts
    arm_sandbox.advance(3600)
    assert effects(arm_sandbox, "documents") == {str(50001 + n): 1 for n in range(6)}


def test_a_known_batch_uuid_is_followed(stopped, release, a_try, tmp_path):
    """Where the person has found the batchUuid, the chunk is a batch like any other."""
    case = stopped()
    release(json.dumps([{"chunk_id": case, "verdict": "accepted", "batch_uuid": "Ab-Cd", **WORD}]))
    result = submit(tmp_path).execute(a_try(2))
    assert result["batch_uuids"][1] == "Ab-Cd"
    assert result["recovered"] == []


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"chunk_id": "ffffffff"}, "no chunk of that journal has the chunk_id ffffffff"),
        ({"why": " "}, "set both by and why"),
        ({"verdict": "absent", "batch_uuid": "x"}, "has no batch_uuid"),
        ({"by": 7}, "each of resolutions"),
    ],
)
def test_a_word_that_cannot_be_changes_nothing(stopped, release, a_try, tmp_path, change, says):
    """An unknown case, no reason, a contradiction: the task fails and the chunk stays open."""
    word = {"chunk_id": stopped(), "verdict": "accepted", **WORD, **change}
    with pytest.raises(ArmFailException, match=says):
        release([word])
    with pytest.raises(ArmTransientException, match="chunk 2"):
        submit(tmp_path).execute(a_try(2))


def test_a_case_that_is_closed_stays_closed(stopped, release):
    """The same word twice is one word, and another word on it later is none."""
    case = stopped()
    first = release({"chunk_id": case, "verdict": "accepted", **WORD})
    assert release({"chunk_id": case, "verdict": "absent", **WORD})[0]["state"] == first[0]["state"] == "recovered"


def test_continuing_needs_a_journal_in_files(arm_connection, store, make_context):
    """Airflow's store gives no task the journal of another."""
    operator = BatchSubmitOperator(task_id="rest", resource="documents", records=documents(1), continue_from="submit")
    with pytest.raises(ArmFailException, match="continue_from needs journal_path"):
        operator.execute(make_context(store))


def test_a_single_write_is_released_too(arm_sandbox, arm_connection, store, make_context):
    """A set of postings whose answer was lost: its word comes as an argument, and a clear sends it or leaves it."""
    arm_sandbox.fault({"match": {"path": "*/autopostings/*"}, "do": "close", "when": "before_accept"})
    posting = {"arItemId": "2218-500002-35078-0", "currencyAmount": 24, "externalId1": "E-1"}
    operator = AutoPostingOperator(task_id="post", method="payment", postings=[posting])
    context = make_context(store)
    with pytest.raises(ArmFailException, match="may or may not have reached ARM"):
        operator.execute(context)
    (case,) = context["ti"].xcoms["unresolved_chunks"]
    operator.resolutions = {"chunk_id": case["chunk_id"], "verdict": "absent", **WORD}
    assert operator.execute(make_context(store, try_number=2, max_tries=1))["status"] == "PROCESSED"
    assert effects(arm_sandbox, "payments") == {"E-1": 1}


# ---- the command


def journal_of(tmp_path: Path) -> str:
    """Give the folder of the task's journal."""
    return str(tmp_path / "d" / "r" / "submit" / "-1")


def test_the_command_shows_and_releases(stopped, a_try, tmp_path, capsys):
    """What is open, by chunk and case; released with who and why; nothing open after that, and the word is shown."""
    case = stopped()
    folder = journal_of(tmp_path)
    assert main(["show", folder]) == 3
    out = capsys.readouterr().out
    assert re.search(rf"^chunk 2: unknown; chunk_id {case}; .*the connection was lost", out, re.MULTILINE)
    assert out.endswith("3 chunks: 1 accepted, 1 unknown, 1 not started\n")
    arguments = ["--chunk-id", case, "--verdict", "accepted", "--why", "all four are there", "--by", "Controller"]
    assert main(["resolve", folder, *arguments]) == 0
    assert "resolved as accepted by Controller at 20" in capsys.readouterr().out
    assert main(["show", folder, "--all"]) == 0
    assert "chunk 1: accepted; batch " in capsys.readouterr().out
    assert len(submit(tmp_path).execute(a_try(2))["batch_uuids"]) == 2


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["show", "{nowhere}"], "there is no journal in"),
        (["resolve", "{nowhere}", "--chunk-id", "x", "--verdict", "absent", "--why", "y"], "there is no journal in"),
        (
            ["resolve", "{folder}", "--chunk-id", "x", "--verdict", "absent", "--why", "y"],
            "has the chunk_id x: `arm-journal",
        ),
    ],
)
def test_the_command_says_what_is_wrong(stopped, tmp_path, capsys, arguments, says):
    """A typo in the folder or the case: one sentence, code 1, and no journal made where none was."""
    stopped()
    places = {"nowhere": str(tmp_path / "nowhere"), "folder": journal_of(tmp_path)}
    assert main([argument.format(**places) for argument in arguments]) == 1
    assert says in capsys.readouterr().err
    assert not (tmp_path / "nowhere").exists()


def test_the_command_shows_a_journal_that_is_in_use(stopped, a_try, tmp_path, capsys):
    """Looking is no work on it: the running task goes on undisturbed. A release has to wait for its end."""
    from airflow_provider_arm.runtime.journal_location import open_journal

    case = stopped()
    with open_journal(a_try(2), str(tmp_path), durable=True) as journal:
        assert main(["show", journal_of(tmp_path)]) == 3
        arguments = ["--chunk-id", case, "--verdict", "absent", "--why", "y"]
        assert main(["resolve", journal_of(tmp_path), *arguments]) == 1
        assert "in use by another writer" in capsys.readouterr().err
        journal.write_plan(journal.read_plan())
