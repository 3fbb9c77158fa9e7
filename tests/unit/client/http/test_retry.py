from __future__ import annotations

import asyncio
import datetime as dt
import email.utils
import math
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.http import retry
from airflow_provider_arm.client.http.retry import (
    MAX_COOLDOWN,
    MAX_RETRY_AFTER,
    MAX_TOTAL_SECONDS,
    Cooldown,
    RetryBudget,
    RetryPolicy,
    SystemClock,
    parse_retry_after,
)

if TYPE_CHECKING:
    from decimal import Decimal

NOW = dt.datetime(2025, 2, 27, 12, tzinfo=dt.UTC).timestamp()


def test_jitter_is_full_and_uniform() -> None:
    """Of 10,000 delays each tenth of the range from 0 to the upper limit holds a tenth, within 20 %."""
    policy = RetryPolicy(budget=RetryBudget(10**6))
    delays = [policy.delay(4, 0.0, None) for _ in range(10_000)]
    ceiling = retry.BASE_DELAY * 2**3
    assert all(delay is not None and 0 <= delay < ceiling for delay in delays)
    tenths = Counter(int(10 * delay / ceiling) for delay in delays)
    assert sorted(tenths) == list(range(10))
    assert all(800 <= count <= 1200 for count in tenths.values())


@pytest.mark.parametrize(("attempt", "ceiling"), [(1, 0.5), (2, 1.0), (3, 2.0), (4, 4.0), (7, 20.0), (50, 20.0)])
def test_delay_limit_doubles_up_to_maximum(attempt: int, ceiling: float) -> None:
    """Each delay may be twice as long as the one before, but not longer than the maximum."""
    assert RetryPolicy(max_attempts=99, uniform=lambda: 1.0).delay(attempt, 0.0, None) == ceiling


@settings(deadline=None)
@given(
    st.integers(1, 10),
    st.floats(0, 100),
    st.none() | st.floats(0, 10**9) | st.just(float("inf")),
    st.floats(0, 1, exclude_max=True),
)
def test_no_attempt_starts_after_total_time(
    attempt: int, elapsed: float, retry_after: float | None, fraction: float
) -> None:
    """A delay is returned only if it ends within 60 s, before attempt 6. It is no shorter than the server asked for."""
    delay = RetryPolicy(uniform=lambda: fraction).delay(attempt, elapsed, retry_after)
    if delay is None:
        assert attempt >= 5 or elapsed + (retry_after or 0) + fraction * min(20, 0.5 * 2 ** (attempt - 1)) > 60
    else:
        assert attempt < 5
        assert elapsed + delay <= 60
        assert delay >= (retry_after or 0)


def test_spent_budget_ends_all_retries() -> None:
    """No call is retried once the shared credit is spent, and a call that gives up costs nothing."""
    policy = RetryPolicy(budget=RetryBudget(12), uniform=lambda: 0.0)
    assert policy.delay(5, 0, None) is None
    assert policy.delay(1, 0, 61.0) is None
    assert [policy.delay(1, 0, None) for _ in range(3)] == [0.0, 0.0, None]


def test_five_successes_pay_for_one_retry() -> None:
    """The credit grows slowly and never exceeds the capacity."""
    budget = RetryBudget(5)
    assert budget.spend()
    for _ in range(4):
        budget.earn()
        assert not budget.spend()
    for _ in range(20):
        budget.earn()
    assert [budget.spend(), budget.spend()] == [True, False]


def test_budget_is_exact_across_threads() -> None:
    """Many threads together never spend more than the credit."""
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
        ("1.5", 2),
        ("0.493", 1),
        ("30.0", 30),
        (".5", 1),
        ("2.", 2),
        ("2,5", None),
        ("1e3", None),
        ("nan", None),
        ("inf", None),
        ("Infinity", None),
        ("120, 60", None),
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
def test_retry_after_is_parsed_in_both_forms(value: str | None, seconds: float | None) -> None:
    """Seconds and dates are parsed, a date in the past is 0, and an invalid value is None."""
    assert parse_retry_after(value, NOW) == seconds


@settings(deadline=None)
@given(st.decimals(0, 10**12, places=3) | st.integers(0, 10**30))
def test_retry_after_in_seconds_is_never_overtaken(seconds: Decimal | int) -> None:
    """However many decimals it has, the next attempt starts after it, or there is none."""
    parsed = parse_retry_after(f" {seconds} ", NOW)
    assert parsed is not None
    assert parsed == math.inf if seconds > MAX_RETRY_AFTER else seconds <= parsed < seconds + 1
    delay = RetryPolicy(uniform=lambda: 0.0).delay(1, 0.0, parsed)
    assert delay == (parsed if seconds <= MAX_TOTAL_SECONDS else None)


@settings(deadline=None)
@given(st.integers(0, 10**9))
def test_retry_after_date_is_seconds_from_now(seconds: int) -> None:
    """Any date in the future is parsed to the second."""
    assert parse_retry_after(email.utils.formatdate(NOW + seconds, usegmt=True), NOW) == seconds


@settings(deadline=None, max_examples=300)
@given(
    st.text()
    | st.from_regex(r"\A(Thu, )?\d{1,3} (Feb|Jun|Xyz) \d{1,6} \d{1,3}:\d{1,3}(:\d{1,3})? ([A-Z]{1,4}|[+-]\d{1,25})?\Z")
)
def test_no_retry_after_header_raises(value: str) -> None:
    """For any header the result is None or not negative, and a policy can use it."""
    seconds = parse_retry_after(value, NOW)
    assert seconds is None or seconds >= 0
    RetryPolicy().delay(1, 0.0, seconds)


def test_system_clock_is_the_machines_clock() -> None:
    """Unless another clock is passed, time and waiting are real."""
    clock = SystemClock()
    assert time.time() - 60 < clock.time() <= time.time()
    before = clock.monotonic()
    clock.sleep(0)
    asyncio.run(clock.asleep(0))
    assert before <= clock.monotonic() <= time.monotonic()


@given(st.lists(st.tuples(st.floats(0, 10**9), st.floats(0, 500)), max_size=20))
def test_cooldown_lasts_as_long_as_the_longest_requested(requests: list[tuple[float, float]]) -> None:
    """Each cooldown counts from its own start, up to the maximum; a shorter one never ends a longer one early."""
    cooldown, now, until = Cooldown(), 0.0, 0.0
    assert cooldown.remaining(now) == 0
    for seconds, passed in requests:
        cooldown.start(seconds, now)
        until = max(until, now + min(seconds, MAX_COOLDOWN))
        assert cooldown.remaining(now) == pytest.approx(until - now)
        now += passed
        assert cooldown.remaining(now) == pytest.approx(max(0.0, until - now))
