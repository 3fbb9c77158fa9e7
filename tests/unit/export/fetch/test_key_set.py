from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.export.fetch import key_set
from airflow_provider_arm.export.fetch.key_set import KeySet

few_keys = st.lists(st.text(max_size=2) | st.integers(-(2**61), 2**61), max_size=12)


def add_queries(queries: list[list[list]]) -> bool:
    """Add the pages of queries, and return whether no duplicate was found."""
    with KeySet() as keys:
        for query in queries:
            for page in query:
                if not keys.add(page):
                    return False
            if not keys.commit_query():
                return False
        return keys.all_unique()


@pytest.fixture(autouse=True, scope="module")
def short_runs():
    """Reduce the size of a run, so that a few keys fill several."""
    patch = pytest.MonkeyPatch()
    patch.setattr(key_set, "RUN", 5)
    yield
    patch.undo()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(few_keys, max_size=4), max_size=4))
def test_duplicate_is_found_on_any_page_of_any_query(queries):
    """The result is that of a set of all keys."""
    every = [(type(key), key) for query in queries for page in query for key in page]
    assert add_queries(queries) is (len(set(every)) == len(every))


@settings(max_examples=100, deadline=None)
@given(few_keys, few_keys.map(lambda keys: list(dict.fromkeys(keys))))
def test_rollback_removes_only_keys_of_the_current_query(broken, whole):
    """Its keys may be added again, those of earlier queries may not."""
    with KeySet() as keys:
        assert keys.add(["before"])
        assert keys.commit_query()
        keys.add([f"{key}+" for key in broken])
        keys.rollback_query()
        assert all(keys.add([f"{key!r}+"]) for key in whole)
        assert keys.commit_query()
        assert keys.all_unique()
        keys.add(["before"])
        assert not (keys.commit_query() and keys.all_unique())


def test_memory_holds_only_slice_offsets_after_a_query(monkeypatch):
    """The hashes of a committed query are in the file only."""
    monkeypatch.setattr(key_set, "RUN", 16_384)
    with KeySet() as keys:
        for page in range(100):
            assert keys.add([f"2218-{page}-{number}" for number in range(1000)])
        assert keys.commit_query()
        kept = sum(len(run) for run in keys._runs) + keys._buffered
        assert kept < 1000
        assert keys.add(["2218-50-500"])
        assert keys.commit_query()
        assert not keys.all_unique()


def test_find_shared_key_returns_numbers_of_two_queries(monkeypatch):
    """The numbers count queries of several runs, empty ones and restarted ones once each."""
    monkeypatch.setattr(key_set, "RUN", 4)
    with KeySet() as keys:
        for query in (range(9), (), range(20, 29), (40,)):
            keys.add(["7"])
            keys.rollback_query()
            for number in query:
                keys.add([str(number)])
            assert keys.commit_query()
        assert (keys.all_unique(), keys.find_shared_key()) == (True, None)
        keys.add(["23"])
        assert keys.commit_query()
        assert (keys.all_unique(), keys.find_shared_key()) == (False, (2, 4))
