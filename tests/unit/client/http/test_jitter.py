from __future__ import annotations

from collections import Counter

from airflow_provider_arm.client.http.jitter import JITTER, random_fraction


def test_random_fraction_fills_the_range_evenly() -> None:
    """Of 10,000 numbers each tenth of [0, 1) holds a tenth, within 20 %."""
    tenths = Counter(int(10 * random_fraction()) for _ in range(10_000))
    assert sorted(tenths) == list(range(10))
    assert all(800 <= count <= 1200 for count in tenths.values())


def test_jitter_shortens_an_interval_and_never_ends_it() -> None:
    """A share of the interval, not all of it."""
    assert 0 < JITTER < 1
