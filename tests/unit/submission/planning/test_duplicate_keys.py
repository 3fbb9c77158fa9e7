from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.submission.planning import duplicate_keys
from airflow_provider_arm.submission.planning.duplicate_keys import DuplicateKeyIndex


@settings(max_examples=200, deadline=None)
@given(keys=st.lists(st.text(max_size=3) | st.integers(0, 40).map(str), max_size=120), slots=st.sampled_from([1, 2, 8]))
def test_it_is_a_dict_of_first_rows(keys, slots):
    """Whatever the keys, and however often the table has grown: each knows the row in which it came first."""
    first: dict[str, int] = {}
    before, duplicate_keys._FIRST_SLOTS = duplicate_keys._FIRST_SLOTS, slots
    try:
        seen = DuplicateKeyIndex()
    finally:
        duplicate_keys._FIRST_SLOTS = before
    for row, key in enumerate(keys, 1):
        assert seen.first_row(key, row) == first.setdefault(key.casefold(), row)


def test_half_of_a_surrogate_pair_is_a_key_as_any_other():
    """The model refuses it later; the table does not fall over it."""
    seen = DuplicateKeyIndex()
    assert [seen.first_row(key, row) for row, key in enumerate(["\ud800", "\ud801", "\ud800"], 1)] == [1, 2, 1]


def test_many_keys_take_few_bytes():
    """What a million invoices cost is written down here: under 80 bytes a key, at the worst fill of the table."""
    seen = DuplicateKeyIndex()
    for row in range(1, 50_001):
        assert seen.first_row(f"INV-{row}", row) == row
    size = sum(part.itemsize * len(part) for part in (seen._highs, seen._lows, seen._rows))
    assert size / 50_000 < 80


def test_keys_that_fall_into_one_slot_are_told_apart(monkeypatch):
    """Half of a digest says where a key goes; only the whole of it says that two are the same."""

    class Half:
        def __init__(self, data: bytes, digest_size: int) -> None:
            self.data, self.size = data, digest_size

        def digest(self) -> bytes:
            return self.data.rjust(self.size - 8, b"\0") + bytes(8)

    monkeypatch.setattr(duplicate_keys, "blake2b", Half)
    seen = DuplicateKeyIndex()
    assert [seen.first_row(key, row) for row, key in enumerate("abcab", 1)] == [1, 2, 3, 1, 2]
