from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.export.fetch import key_set
from airflow_provider_arm.export.fetch.key_set import KeySet

few_keys = st.lists(st.text(max_size=2) | st.integers(-(2**61), 2**61), max_size=12)


def log_of(queries: list[list[list]]) -> bool:
    """Add pages of queries; say whether no key came twice."""
    with KeySet() as log:
        for query in queries:
            for page in query:
                if not log.add(page):
                    return False
            if not log.commit_query():
                return False
        return log.all_unique()


@pytest.fixture(autouse=True, scope="module")
def short_runs():
    """Let a run be full after a few keys, so that few keys are many runs."""
    patch = pytest.MonkeyPatch()
    patch.setattr(key_set, "RUN", 5)
    yield
    patch.undo()


@settings(max_examples=300, deadline=None)
@given(st.lists(st.lists(few_keys, max_size=4), max_size=4))
def test_a_key_is_seen_twice_wherever_it_stands(queries):
    """On one page, on two, in two queries: as a set would see it."""
    every = [(type(key), key) for query in queries for page in query for key in page]
    assert log_of(queries) is (len(set(every)) == len(every))


@settings(max_examples=100, deadline=None)
@given(few_keys, few_keys.map(lambda keys: list(dict.fromkeys(keys))))
def test_a_query_that_is_begun_again_leaves_no_trace(broken, whole):
    """Its keys may come again; those of queries before it may not."""
    with KeySet() as log:
        assert log.add(["before"])
        assert log.commit_query()
        log.add([f"{key}+" for key in broken])
        log.rollback_query()
        assert all(log.add([f"{key!r}+"]) for key in whole)
        assert log.commit_query()
        assert log.all_unique()
        log.add(["before"])
        assert not (log.commit_query() and log.all_unique())


def test_keys_are_held_in_a_file(monkeypatch):
    """What is kept in memory of a run is where its slices begin."""
    monkeypatch.setattr(key_set, "RUN", 16_384)
    with KeySet() as log:
        for page in range(100):
            assert log.add([f"2218-{page}-{number}" for number in range(1000)])
        assert log.commit_query()
        kept = sum(len(run) for run in log._runs) + log._fresh_count
        assert kept < 1000
        assert log.add(["2218-50-500"])
        assert log.commit_query()
        assert not log.all_unique()


def test_two_queries_that_share_a_key_are_named(monkeypatch):
    """Counted from 0, also where a query took several runs, was empty, or was begun again."""
    monkeypatch.setattr(key_set, "RUN", 4)
    with KeySet() as log:
        for query in (range(9), (), range(20, 29), (40,)):
            log.add(["7"])
            log.rollback_query()
            for number in query:
                log.add([str(number)])
            assert log.commit_query()
        assert (log.all_unique(), log.find_shared_key()) == (True, None)
        log.add(["23"])
        assert log.commit_query()
        assert (log.all_unique(), log.find_shared_key()) == (False, (2, 4))
