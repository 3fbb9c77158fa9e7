"""``FileUploadOperator`` against the sandbox."""

from __future__ import annotations

import json

import pytest

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.exceptions import ArmBatchFailedException, ArmFailException
from airflow_provider_arm.hooks.arm import ArmHook
from airflow_provider_arm.operators.file import FileUploadOperator
from airflow_provider_arm.sandbox import ArmSandbox


@pytest.fixture
def files(tmp_path):
    """Write two files; return their paths."""
    for name in ("a.pdf", "b.pdf"):
        (tmp_path / name).write_bytes(name.encode() * 100)
    return [str(tmp_path / "a.pdf"), str(tmp_path / "b.pdf")]


def connect(monkeypatch, box, readings):
    """Set the connection to a sandbox, with a profile."""
    connection = box.connection()
    connection["extra"]["readings"] = readings
    monkeypatch.setenv("AIRFLOW_CONN_ARM_DEFAULT", json.dumps(connection))


def upload(paths, context, **arguments):
    """Run the operator."""
    return FileUploadOperator(task_id="upload", paths=paths, **arguments).execute(context)


def test_files_are_uploaded_once(arm_sandbox, arm_connection, make_context, store, files):
    """A retry and a clear return ARM's response, and send nothing."""
    first = upload(files, make_context(store))
    assert (first["uploaded"], first["rejected"]) == (2, 0)
    assert [file["name"] for file in first["files"]] == ["a.pdf", "b.pdf"]
    assert all(file["file_id"] and file["status"] == "PROCESSED" for file in first["files"])
    assert upload(files, make_context(store, try_number=2)) == first
    assert upload(files, make_context(store, try_number=2, max_tries=1)) == first
    assert {name: each["effects"] for name, each in arm_sandbox.ledger()["files"].items()} == {"a.pdf": 1, "b.pdf": 1}
    assert [item.to_wire()["size"] for item in ArmHook().client.cursor("list_files")] == [500, 500]


def test_one_path_is_enough(arm_sandbox, arm_connection, first_try, files):
    """As text; a list is for several."""
    assert upload(files[0], first_try)["uploaded"] == 1


@pytest.mark.parametrize(
    ("arguments", "fails"), [({}, True), ({"on_rejected": "warn"}, False), ({"max_rejected": "50%"}, False)]
)
def test_policy_decides_about_refused_files(monkeypatch, make_context, store, files, tmp_path, arguments, fails):
    """ARM stores the others (207). A failed task keeps ARM's response, so a retry fails without a call."""
    (tmp_path / "large.pdf").write_bytes(b"x" * 10_000_001)
    paths = [files[0], str(tmp_path / "large.pdf")]
    with ArmSandbox() as box:
        connect(monkeypatch, box, {"files": {"max_bytes": 20_000_000}})
        if fails:
            for number in (1, 2):
                with pytest.raises(ArmBatchFailedException, match=r"1 of 2 files stored: failed; refused: large\.pdf"):
                    upload(paths, make_context(store, try_number=number), **arguments)
        else:
            result = upload(paths, make_context(store), **arguments)
            assert [(file["name"], file["status"]) for file in result["files"]] == [
                ("a.pdf", "PROCESSED"),
                ("large.pdf", "FAILED"),
            ]
        assert list(box.ledger()["files"]) == ["a.pdf"]
        assert [call["status"] for call in box.requests() if call["path"].endswith("/files")] == [207]


@pytest.mark.parametrize(
    ("paths", "message"),
    [
        ([], "paths must be the path of a file"),
        ("{folder}/none.pdf", r"none\.pdf cannot be read \(No such file or directory\)"),
        ("{folder}/empty.pdf", r"empty\.pdf is empty"),
        (["{folder}/a.pdf", "{folder}/sub/a.pdf"], r"two files have the name a\.pdf"),
        ("{folder}/large.pdf", r"large\.pdf has more than 600 bytes \(files\.max_bytes in the readings\)"),
    ],
)
def test_invalid_files_fail_before_anything_is_sent(monkeypatch, first_try, files, tmp_path, paths, message):
    """The message names the file."""
    (tmp_path / "empty.pdf").touch()
    (tmp_path / "large.pdf").write_bytes(b"x" * 601)
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "a.pdf").write_bytes(b"x")
    with ArmSandbox() as box:
        connect(monkeypatch, box, {"files": {"max_bytes": 600}})
        given = (
            [path.format(folder=tmp_path) for path in paths]
            if isinstance(paths, list)
            else paths.format(folder=tmp_path)
        )
        with pytest.raises((ArmFailException, ArmConfigurationError), match=message):
            upload(given, first_try)
        assert box.requests() == []


def test_lost_response_is_an_unknown_outcome(arm_sandbox, arm_connection, make_context, store, files):
    """An upload has no key to look up: the task fails until it is resolved, and nothing is sent again."""
    arm_sandbox.fault({"match": {"path": "*/files", "method": "POST"}, "do": "close", "when": "after_accept"})
    for number in (1, 2):
        with pytest.raises(
            ArmFailException, match=r"upload of 2 files \(a\.pdf, b\.pdf\).*may or may not have reached ARM"
        ):
            upload(files, make_context(store, try_number=number))
    assert {each["effects"] for each in arm_sandbox.ledger()["files"].values()} == {1}


def test_names_of_fields_are_those_of_the_profile(monkeypatch, first_try, files):
    """Of the request and of the response."""
    profile = {
        "files": {"name_key": "filename", "content_key": "data", "id_key": "uuid"},
        "record_keys": {"upload_files": None},
        "write": {"success_words": ["STORED"], "status_key": "state"},
    }
    with ArmSandbox(readings=profile) as box:
        connect(monkeypatch, box, profile)
        result = upload(files, first_try)
    assert [file["status"] for file in result["files"]] == ["STORED", "STORED"]
    assert all(file["file_id"] for file in result["files"])
