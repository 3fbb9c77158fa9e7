"""``submission.slips``: what stands in the folder is what is waited for."""

from __future__ import annotations

import json

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.submission.batch_receipts import leave_slip, read_slips, remove_slip


@pytest.fixture(params=["pathlib", "airflow"])
def folder(request, tmp_path):
    """Give a folder that does not exist yet."""
    return tmp_path / "slips" if request.param == "pathlib" else ObjectStoragePath(f"file://{tmp_path}/slips")


@pytest.mark.parametrize(
    "batches", [{"batch_uuids": ["b", "A"], "submitted": 2}, ["b", "A"], ("b", "A", "b")], ids=repr
)
def test_a_slip_is_read_as_it_was_left(folder, batches):
    """What the operator returned, and any sequence of batchUuids, is a slip with each of them once, as written."""
    name = leave_slip(folder, batches)
    assert read_slips(folder, {}) == {name: ["b", "A"]}


def test_the_same_batches_are_the_same_slip(folder):
    """A task that leaves its slip again in its next try leaves no second one; other batches are another slip."""
    first = leave_slip(folder, "u1")
    assert leave_slip(folder, {"batch_uuids": ["u1"]}) == first
    assert leave_slip(folder, "U1") != first
    assert len(read_slips(folder, {})) == 2


def test_no_batch_is_no_slip(folder):
    """A submission that sent nothing leaves nothing, and a folder that nobody made is empty."""
    assert leave_slip(folder, {"batch_uuids": []}) is None
    assert read_slips(folder, {}) == {}


@pytest.mark.parametrize("batches", [5, {"uuids": ["a"]}, ["a", 5], ["a", " "], None])
def test_what_names_no_batches_is_refused(folder, batches):
    """A slip that nobody could read is not written."""
    with pytest.raises(ArmConfigurationError, match="slip"):
        leave_slip(folder, batches)
    assert read_slips(folder, {}) == {}


@pytest.mark.parametrize(
    "text", [b"", b"{", b'{"batch_uuids": 5}', b'{"batch_uuids": []}', b"\xff", b"[" * 10_000, b"{}"]
)
def test_another_file_is_told_from_a_slip(folder, text):
    """A file that is torn or something else is named, and hides no other; unfinished and other endings are not read."""
    name = leave_slip(folder, "u1")
    for other in ("other.json", ".hidden.json.1234.part", "notes.txt"):
        with (folder / other).open("wb") as file:
            file.write(text)
    assert read_slips(folder, {}) == {name: ["u1"], "other.json": None}


def test_a_known_slip_is_not_opened_again(folder):
    """Only new files are read: a folder with many slips costs one listing."""
    name = leave_slip(folder, "u1")
    with (folder / name).open("wb") as file:
        file.write(json.dumps({"batch_uuids": ["changed"]}).encode())
    assert read_slips(folder, {name: ["u1"]}) == {name: ["u1"]}


def test_a_removed_slip_is_gone_and_may_be_removed_twice(folder):
    """Removing is safe to repeat."""
    name = leave_slip(folder, "u1")
    remove_slip(folder, name)
    remove_slip(folder, name)
    assert read_slips(folder, {}) == {}
