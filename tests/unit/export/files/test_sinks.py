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

#: What happens to a sink: a page of so many rows, the end of a query, or a query that is begun again.
steps = st.lists(st.integers(0, 9) | st.sampled_from(["keep", "again"]), max_size=30)
SCHEMA = pa.schema([("n", pa.int64())])


class Stream(io.BytesIO):
    """A file that cannot be cut, as an object store's."""

    def seekable(self) -> bool:
        """Say so."""
        return False

    def truncate(self, size: int | None = None) -> int:
        """Refuse, as the other does."""
        raise io.UnsupportedOperation


def play(sink: Any, made: list, make: Any) -> list[int]:
    """Do the steps; give the rows that should be in the file."""
    kept: list[int] = []
    fresh: list[int] = []
    number = 0
    for step in [*made, "keep"]:
        if step == "keep":
            sink.commit()
            kept, fresh = kept + fresh, []
        elif step == "again":
            if sink.rollback():
                fresh = []
        else:
            rows = list(range(number, number + step))
            number += step
            sink.write(make(rows))
            fresh += rows
    sink.finish()
    return kept


@pytest.fixture(autouse=True, scope="module")
def small():
    """Let a few rows and bytes be many."""
    patch = pytest.MonkeyPatch()
    patch.setattr(sinks, "ROW_GROUP", 20)
    patch.setattr(sinks, "WRITTEN_AT_ONCE", 10)
    patch.setattr(sinks, "HELD_IN_MEMORY", 16)
    yield
    patch.undo()


@settings(max_examples=200, deadline=None)
@given(steps, st.sampled_from([io.BytesIO, Stream]))
def test_a_query_that_is_begun_again_leaves_nothing_in_the_file(made, kind):
    """Whether the file can be cut or not: what was kept is there once, with a true checksum and size."""
    file = kind()
    counted = ChecksumFile(file)
    rows = play(BytesSink(counted, b"head\n"), made, lambda rows: "".join(f"{n}\n" for n in rows).encode())
    content = file.getvalue()
    assert content == b"head\n" + "".join(f"{n}\n" for n in rows).encode()
    assert (counted.size, counted.sha256) == (len(content), hashlib.sha256(content).hexdigest())


@settings(max_examples=200, deadline=None)
@given(steps)
def test_a_parquet_file_holds_what_was_kept(made):
    """Row groups are written as they fill up, and never a part of a query that could still be taken back."""
    file = io.BytesIO()
    counted = ChecksumFile(file)
    batch = lambda rows: pa.record_batch({"n": pa.array(rows, pa.int64())})  # noqa: E731 - as short as it is
    rows = play(ParquetSink(counted, SCHEMA, "zstd", []), made, batch)
    content = file.getvalue()
    assert pq.read_table(io.BytesIO(content))["n"].to_pylist() == rows
    assert (counted.size, counted.sha256) == (len(content), hashlib.sha256(content).hexdigest())


def test_only_a_query_that_fills_a_row_group_alone_cannot_be_taken_back():
    """ARM gives 10,000 records for a query; a row group is five times as long."""
    sink = ParquetSink(ChecksumFile(io.BytesIO()), SCHEMA, "zstd", [])
    page = pa.record_batch({"n": pa.array(range(15), pa.int64())})
    sink.write(page)
    sink.commit()
    sink.write(page)
    assert sink.rollback()
    sink.write(page)
    sink.write(page)
    assert not sink.rollback()
