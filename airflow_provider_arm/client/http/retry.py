"""Retries of one call: whether there is another attempt, and after how many seconds. The callers do the waiting.

Polling a batch is not retrying (``submission.results.batch_wait``) and has its own limits.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import email.utils
import math
import re
import threading
import time
from dataclasses import dataclass, field
from decimal import Decimal
from typing import TYPE_CHECKING, Protocol

from airflow_provider_arm.client.http.jitter import random_fraction

if TYPE_CHECKING:
    from collections.abc import Callable

#: Attempts of a call at most; more would only multiply an outage (botocore: 3, Databricks and others: 5).
MAX_ATTEMPTS = 5
#: Seconds from the first attempt after which no new one starts: longer outages are left to Airflow's own retries.
MAX_TOTAL_SECONDS = 60.0
#: Upper limit of the first delay in seconds; it doubles with each attempt.
BASE_DELAY = 0.5
#: Upper limit of any delay in seconds, not counting what the server asks for.
MAX_DELAY = 20.0
#: Seconds that polls wait for a ``Retry-After`` at most: a server that asks for a day is polled before that.
MAX_COOLDOWN = 900.0
#: Seconds of a ``Retry-After`` above which it counts as infinite: 31 years.
MAX_RETRY_AFTER = 10**9
#: Credit for retries that all calls of a client share: enough for a bad minute, not for an outage.
BUDGET_CAPACITY = 500
#: Credit that one retry costs, and that one success earns: five successful calls pay for one retry.
BUDGET_COST = 5
BUDGET_GAIN = 1
_SECONDS = re.compile(r"[0-9]+(?:\.[0-9]*)?|\.[0-9]+")


class Clock(Protocol):
    """Source of time; tests replace it."""

    def time(self) -> float:
        """Return unix seconds."""

    def monotonic(self) -> float:
        """Return seconds of a clock that never runs backwards."""

    def sleep(self, seconds: float) -> None:
        """Wait and block the thread."""

    async def asleep(self, seconds: float) -> None:
        """Wait and block only the coroutine."""


class SystemClock:
    """The machine's clock."""

    def time(self) -> float:
        """Return unix seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds of a clock that never runs backwards."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait and block the thread."""
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        """Wait and block only the coroutine."""
        await asyncio.sleep(seconds)


class RetryBudget:
    """Credit for retries, shared by all calls of a client so that retries do not multiply an outage. Thread-safe."""

    def __init__(self, capacity: int = BUDGET_CAPACITY) -> None:
        self._capacity = capacity
        self._credit = capacity
        self._lock = threading.Lock()

    def spend(self) -> bool:
        """Subtract the cost of one retry and return ``True``; return ``False`` if the credit does not cover it."""
        with self._lock:
            if self._credit < BUDGET_COST:
                return False
            self._credit -= BUDGET_COST
            return True

    def earn(self) -> None:
        """Add the credit for one successful call, up to the capacity."""
        with self._lock:
            self._credit = min(self._capacity, self._credit + BUDGET_GAIN)


class Cooldown:
    """Time in which no call of a client is sent, because ARM asked for it in one response. Monotonic seconds."""

    def __init__(self) -> None:
        self._until = -math.inf

    def start(self, seconds: float, now: float) -> None:
        """Start a cooldown of *seconds* at *now*, at most :data:`MAX_COOLDOWN`. One that lasts longer is kept."""
        self._until = max(self._until, now + min(seconds, MAX_COOLDOWN))

    def remaining(self, now: float) -> float:
        """Return the seconds until the cooldown ends; 0 if there is none."""
        return max(0.0, self._until - now)


@dataclass(slots=True)
class RetryPolicy:
    """Number of attempts and the delays between them. A client has one policy, and so one budget.

    :param max_attempts: attempts of a call at most; default 5.
    :param max_total_seconds: seconds from the first attempt after which no new one starts; default 60.
    :param base_delay: upper limit of the first delay in seconds; default 0.5.
    :param max_delay: upper limit of any delay in seconds; default 20.
    :param uniform: returns a random number in [0, 1), for the jitter.
    """

    max_attempts: int = MAX_ATTEMPTS
    max_total_seconds: float = MAX_TOTAL_SECONDS
    base_delay: float = BASE_DELAY
    max_delay: float = MAX_DELAY
    budget: RetryBudget = field(default_factory=RetryBudget)
    uniform: Callable[[], float] = random_fraction

    def delay(self, attempt: int, elapsed: float, retry_after: float | None) -> float | None:
        """Return the seconds to wait after attempt number *attempt*, or ``None`` to give up.

        Full jitter: a random time between 0 and an upper limit that doubles, so that clients do not retry in step. What
        the server asked for is added. A delay that would exceed the total time is not started.

        :param elapsed: seconds since the first attempt.
        :param retry_after: seconds that the server asked for.
        """
        if attempt >= self.max_attempts:
            return None
        ceiling: float = min(self.max_delay, self.base_delay * 2 ** (attempt - 1))
        seconds = self.uniform() * ceiling
        if retry_after is not None:
            seconds += retry_after
        if elapsed + seconds > self.max_total_seconds or not self.budget.spend():
            return None
        return seconds


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Parse a ``Retry-After`` header, in seconds or as an HTTP date; return ``None`` if it is absent or invalid.

    Seconds may have decimals, which RFC 9110 does not provide for and some servers send: they are rounded up. A date in
    the past is 0.

    :param now: unix seconds, for the date form.
    """
    if value is None:
        return None
    value = value.strip()
    if _SECONDS.fullmatch(value):
        seconds = Decimal(value)
        return math.inf if seconds > MAX_RETRY_AFTER else math.ceil(seconds)
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return max(0.0, moment.timestamp() - now)
