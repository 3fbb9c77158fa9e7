"""``submission.batch_receipts``: writing, reading and removing receipts in a folder."""

from __future__ import annotations

import json

import pytest
from airflow.sdk import ObjectStoragePath

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.submission.batch_receipts import read_receipts, remove_receipt, write_receipt


@pytest.fixture(params=["pathlib", "airflow"])
def folder(request, tmp_path):
    """Return a folder that does not exist yet."""
    return tmp_path / "receipts" if request.param == "pathlib" else ObjectStoragePath(f"file://{tmp_path}/receipts")


@pytest.mark.parametrize(
    ("batches", "records"),
    [
        ({"batch_uuids": ["b", "A"], "batch_records": {"b": 500, "A": 20}}, [500, 20]),
        ({"batch_uuids": ["b", "A"], "batch_records": {"b": "500", "A": True}}, [None, None]),
        (["b", "A"], [None, None]),
        (("b", "A", "b"), [None, None]),
    ],
    ids=repr,
)
def test_receipt_is_read_back_as_written(folder, batches, records):
    """The operator's result and any sequence of batchUuids are stored without duplicates, in order and case kept."""
    name = write_receipt(folder, batches)
    receipt = read_receipts(folder, {})[name]
    assert list(receipt.items()) == list(zip(("b", "A"), records, strict=True))


def test_same_batches_give_the_same_receipt(folder):
    """A retry that writes its receipt again adds no second file; other batches get another file."""
    first = write_receipt(folder, "u1")
    assert write_receipt(folder, {"batch_uuids": ["u1"]}) == first
    assert write_receipt(folder, "U1") != first
    assert len(read_receipts(folder, {})) == 2


def test_no_receipt_is_written_without_batches(folder):
    """A submission that sent nothing writes no file, and a folder that does not exist reads as empty."""
    assert write_receipt(folder, {"batch_uuids": []}) is None
    assert read_receipts(folder, {}) == {}


@pytest.mark.parametrize("batches", [5, {"uuids": ["a"]}, ["a", 5], ["a", " "], None])
def test_write_raises_when_argument_holds_no_batch_uuids(folder, batches):
    """A receipt that could not be read back is not written."""
    with pytest.raises(ArmConfigurationError, match="a batch receipt needs the result of BatchSubmitOperator"):
        write_receipt(folder, batches)
    assert read_receipts(folder, {}) == {}


@pytest.mark.parametrize(
    "text", [b"", b"{", b'{"batch_uuids": 5}', b'{"batch_uuids": []}', b"\xff", b"[" * 10_000, b"{}"]
)
def test_other_json_file_is_reported_as_no_receipt(folder, text):
    """Such a .json file maps to ``None`` and hides no receipt; part files and other suffixes are ignored."""
    name = write_receipt(folder, "u1")
    for other in ("other.json", ".hidden.json.1234.part", "notes.txt"):
        with (folder / other).open("wb") as file:
            file.write(text)
    assert read_receipts(folder, {}) == {name: {"u1": None}, "other.json": None}


def test_known_receipt_is_not_opened_again(folder):
    """Only new files are read, so polling a folder with many receipts costs one listing."""
    name = write_receipt(folder, "u1")
    with (folder / name).open("wb") as file:
        file.write(json.dumps({"batch_uuids": ["changed"]}).encode())
    assert read_receipts(folder, {name: {"u1": None}}) == {name: {"u1": None}}


def test_remove_is_idempotent(folder):
    """A removed receipt is gone, and removing it again raises nothing."""
    name = write_receipt(folder, "u1")
    remove_receipt(folder, name)
    remove_receipt(folder, name)
    assert read_receipts(folder, {}) == {}
