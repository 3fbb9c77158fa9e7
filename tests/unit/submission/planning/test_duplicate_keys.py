from __future__ import annotations

import tracemalloc

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client import money
from airflow_provider_arm.client.keys import fold
from airflow_provider_arm.submission.planning.duplicate_keys import DoubledKeyCounter, DuplicateKeyIndex


@settings(max_examples=200, deadline=None)
@given(keys=st.lists(st.text(max_size=3) | st.integers(0, 40).map(str), max_size=120))
def test_index_returns_the_first_row_of_each_key(keys):
    """Keys are compared by the one rule for keys."""
    first: dict[str, int] = {}
    index = DuplicateKeyIndex()
    for row, key in enumerate(keys, 1):
        assert index.first_row(key, row) == first.setdefault(fold(key), row)


def test_half_of_a_surrogate_pair_is_a_valid_key():
    """The model rejects such text; the index does not raise."""
    index = DuplicateKeyIndex()
    assert [index.first_row(key, row) for row, key in enumerate(["\ud800", "\ud801", "\ud800"], 1)] == [1, 2, 1]


def test_memory_does_not_depend_on_the_length_of_the_keys():
    """10,000 keys with 1,000 letters each take less than 200 bytes each."""
    index = DuplicateKeyIndex()
    tracemalloc.start()
    for row in range(1, 10_001):
        assert index.first_row(f"{row:01000d}", row) == row
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert size / 10_000 < 200


@settings(max_examples=100, deadline=None)
@given(chunks=st.lists(st.lists(st.sampled_from(["1", "2", "A", "a", "a ", "Å", "A\u030a"]), min_size=1), max_size=4))
def test_doubled_keys_are_counted_over_all_chunks(chunks):
    """Keys are compared by the one rule for keys; each is shown as it comes first."""
    counter = DoubledKeyCounter("customerNo")
    records = [[{"customerNo": key} for key in chunk] for chunk in chunks]
    for chunk in records:
        counter.add(chunk)
    keys = [key for chunk in chunks for key in chunk]
    folded = [fold(key) for key in keys]
    expected = {keys[folded.index(key)]: folded.count(key) for key in folded if folded.count(key) > 1}
    assert counter.find_doubled(map(money.encode, records)) == expected


def test_keys_of_documents_are_not_counted():
    """A second document with the same key is an invalid row."""
    counter = DoubledKeyCounter("documentNo", is_active=False)
    counter.add([{"documentNo": "1"}, {"documentNo": "1"}])
    assert counter.find_doubled([]) == {}
