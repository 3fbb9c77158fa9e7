from __future__ import annotations

import hashlib
import io
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.export.files import sinks
from airflow_provider_arm.export.files.sinks import BytesSink, ChecksumFile, ParquetSink

#: Steps: a page of so many rows, a commit, or a rollback.
steps = st.lists(st.integers(0, 9) | st.sampled_from(["commit", "rollback"]), max_size=30)
SCHEMA = pa.schema([("n", pa.int64())])


class Stream(io.BytesIO):
    """A file that cannot be truncated, such as one in an object store."""

    def seekable(self) -> bool:
        """Return False."""
        return False

    def truncate(self, size: int | None = None) -> int:
        """Raise."""
        raise io.UnsupportedOperation


def apply_steps(sink: Any, chosen: list, encode: Any) -> list[int]:
    """Apply the steps, and return the rows that the file should contain."""
    committed: list[int] = []
    current: list[int] = []
    number = 0
    for step in [*chosen, "commit"]:
        if step == "commit":
            sink.commit()
            committed, current = committed + current, []
        elif step == "rollback":
            if sink.rollback():
                current = []
        else:
            rows = list(range(number, number + step))
            number += step
            sink.write(encode(rows))
            current += rows
    sink.finish()
    return committed


@pytest.fixture(autouse=True, scope="module")
def small_limits():
    """Reduce the limits, so that a few rows and bytes reach them."""
    patch = pytest.MonkeyPatch()
    patch.setattr(sinks, "ROW_GROUP", 20)
    patch.setattr(sinks, "WRITE_SIZE", 10)
    patch.setattr(sinks, "SPOOL_MEMORY", 16)
    yield
    patch.undo()


@settings(max_examples=200, deadline=None)
@given(steps, st.sampled_from([io.BytesIO, Stream]))
def test_rolled_back_query_leaves_nothing_in_the_file(chosen, kind):
    """Committed pages are written once, with the right checksum and size, whether the file can be truncated or not."""
    file = kind()
    counted = ChecksumFile(file)
    rows = apply_steps(BytesSink(counted, b"head\n"), chosen, lambda rows: "".join(f"{n}\n" for n in rows).encode())
    content = file.getvalue()
    assert content == b"head\n" + "".join(f"{n}\n" for n in rows).encode()
    assert (counted.size, counted.sha256) == (len(content), hashlib.sha256(content).hexdigest())


@settings(max_examples=200, deadline=None)
@given(steps)
def test_parquet_file_contains_committed_batches_only(chosen):
    """Row groups are written when they are full, without batches that may still be rolled back."""
    file = io.BytesIO()
    counted = ChecksumFile(file)
    batch = lambda rows: pa.record_batch({"n": pa.array(rows, pa.int64())})  # noqa: E731 - short
    rows = apply_steps(ParquetSink(counted, SCHEMA, "zstd", []), chosen, batch)
    content = file.getvalue()
    assert pq.read_table(io.BytesIO(content))["n"].to_pylist() == rows
    assert (counted.size, counted.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_parquet_rollback_fails_only_when_one_query_fills_a_row_group():
    """ARM returns at most 10,000 records for a query, a fifth of a row group."""
    sink = ParquetSink(ChecksumFile(io.BytesIO()), SCHEMA, "zstd", [])
    page = pa.record_batch({"n": pa.array(range(15), pa.int64())})
    sink.write(page)
    sink.commit()
    sink.write(page)
    assert sink.rollback()
    sink.write(page)
    sink.write(page)
    assert not sink.rollback()
