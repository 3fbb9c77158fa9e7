from __future__ import annotations

import asyncio
import datetime as dt
import email.utils
import threading
import time
from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.http import retry
from airflow_provider_arm.client.http.retry import (
    MAX_COOLDOWN,
    Cooldown,
    RetryBudget,
    RetryPolicy,
    SystemClock,
    parse_retry_after,
)

NOW = dt.datetime(2025, 2, 27, 12, tzinfo=dt.UTC).timestamp()


def test_the_jitter_is_full_and_uniform() -> None:
    """10,000 pauses fill the range from nothing to the ceiling evenly: each tenth holds a tenth, within 20 %."""
    policy = RetryPolicy(budget=RetryBudget(10**6))
    pauses = [policy.pause(4, 0.0, None) for _ in range(10_000)]
    ceiling = retry.BASE_DELAY * 2**3
    assert all(pause is not None and 0 <= pause < ceiling for pause in pauses)
    tenths = Counter(int(10 * pause / ceiling) for pause in pauses)
    assert sorted(tenths) == list(range(10))
    assert all(800 <= count <= 1200 for count in tenths.values())


@pytest.mark.parametrize(("attempt", "ceiling"), [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (7, 20.0), (50, 20.0)])
def test_the_ceiling_doubles_up_to_a_limit(attempt: int, ceiling: float) -> None:
    """Each pause may be twice as long as the one before, and none longer than the limit."""
    assert RetryPolicy(max_attempts=99, uniform=lambda: 1.0).pause(attempt, 0.0, None) == ceiling


@settings(deadline=None)
@given(
    st.integers(1, 10),
    st.floats(0, 100),
    st.none() | st.floats(0, 10**9) | st.just(float("inf")),
    st.floats(0, 1, exclude_max=True),
)
def test_no_attempt_starts_after_the_total(attempt: int, elapsed: float, asked: float | None, draw: float) -> None:
    """A pause is given only if it ends within 60 s, before attempt 6, and is no shorter than the server asked."""
    pause = RetryPolicy(uniform=lambda: draw).pause(attempt, elapsed, asked)
    if pause is None:
        assert attempt >= 5 or elapsed + (asked or 0) + draw * min(20, 0.5 * 2 ** (attempt - 1)) > 60
    else:
        assert attempt < 5
        assert elapsed + pause <= 60
        assert pause >= (asked or 0)


def test_a_spent_budget_ends_all_retries() -> None:
    """Retries stop for every call once the shared credit is gone, and a call that is given up costs nothing."""
    policy = RetryPolicy(budget=RetryBudget(12), uniform=lambda: 0.0)
    assert policy.pause(5, 0, None) is None
    assert policy.pause(1, 0, 61.0) is None
    assert [policy.pause(1, 0, None) for _ in range(3)] == [0.0, 0.0, None]


def test_five_good_calls_pay_for_one_retry() -> None:
    """The budget fills slowly, and never beyond its size."""
    budget = RetryBudget(5)
    assert budget.spend()
    for _ in range(4):
        budget.gain()
        assert not budget.spend()
    for _ in range(20):
        budget.gain()
    assert [budget.spend(), budget.spend()] == [True, False]


def test_the_budget_is_exact_between_threads() -> None:
    """Many threads together never take more than there is."""
    budget = RetryBudget(500)
    taken = []
    threads = [threading.Thread(target=lambda: taken.extend(budget.spend() for _ in range(50))) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(taken) == 100


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("", None),
        ("0", 0),
        ("120", 120),
        (" 7 ", 7),
        ("-5", None),
        ("1.5", None),
        ("soon", None),
        ("٣", None),
        ("Thu, 27 Feb 2025 12:01:40 GMT", 100),
        ("Thu, 27 Feb 2025 13:01:40 +0100", 100),
        ("Thu, 27 Feb 2025 12:01:40 -0000", 100),
        ("Thu, 27 Feb 2025 11:00:00 GMT", 0),
        ("Thu, 99 Feb 2025 11:00:00 GMT", None),
        ("9" * 400, float("inf")),
        ("9" * 5000, float("inf")),
        ("Thu, 27 Feb 2025 12:01:40 +99999999999999999999", None),
    ],
)
def test_retry_after_is_read_in_both_forms(value: str | None, seconds: float | None) -> None:
    """Seconds and dates are understood, the past is now, and rubbish is as good as nothing."""
    assert parse_retry_after(value, NOW) == seconds


@settings(deadline=None)
@given(st.integers(0, 10**9))
def test_a_date_means_its_distance_from_now(seconds: int) -> None:
    """Any date in the future is read to the second."""
    assert parse_retry_after(email.utils.formatdate(NOW + seconds, usegmt=True), NOW) == seconds


@settings(deadline=None, max_examples=300)
@given(
    st.text()
    | st.from_regex(r"\A(Thu, )?\d{1,3} (Feb|Jun|Xyz) \d{1,6} \d{1,3}:\d{1,3}(:\d{1,3})? ([A-Z]{1,4}|[+-]\d{1,25})?\Z")
)
def test_no_header_can_break_the_reading(value: str) -> None:
    """Whatever a server writes, the result is a number that is not negative, or nothing, and a policy can use it."""
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or seconds >= 0
    RetryPolicy().pause(1, 0.0, seconds)


def test_the_system_clock_is_the_machines() -> None:
    """Without an injected clock, time is the machine's own and waiting is real."""
    clock = SystemClock()
    assert time.time() - 60 < clock.time() <= time.time()
    before = clock.monotonic()
    clock.sleep(0)
    asyncio.run(clock.asleep(0))
    assert before <= clock.monotonic() <= time.monotonic()


@given(st.lists(st.tuples(st.floats(0, 10**9), st.floats(0, 500)), max_size=20))
def test_a_rest_lasts_as_long_as_the_longest_that_was_asked_for(told: list[tuple[float, float]]) -> None:
    """Each wish counts from its own moment, capped; a shorter one never cuts a longer one short."""
    rest, now, until = Cooldown(), 0.0, 0.0
    assert rest.left(now) == 0
    for seconds, passed in told:
        rest.asked_for(seconds, now)
        until = max(until, now + min(seconds, MAX_COOLDOWN))
        assert rest.left(now) == pytest.approx(until - now)
        now += passed
        assert rest.left(now) == pytest.approx(max(0.0, until - now))
