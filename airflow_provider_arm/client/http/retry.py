"""When to try again, and how long to wait. Pure decisions; the waiting itself is the caller's.

A retry repairs one call. Polling a batch is something else (``submission.waiting``) and has its own limits.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import email.utils
import math
import threading
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from airflow_provider_arm.client.http.jitter import random_fraction

if TYPE_CHECKING:
    from collections.abc import Callable

#: A call is tried this often in all; more only multiplies an outage (botocore: 3, Databricks and others: 5).
MAX_ATTEMPTS = 5
#: Seconds from the first attempt after which no new one starts: Airflow's own retries are for longer outages.
MAX_TOTAL_SECONDS = 60.0
#: Ceiling of the first pause in seconds; it doubles with each attempt.
BASE_DELAY = 0.5
#: Ceiling of any pause of our own choice, in seconds.
MAX_DELAY = 20.0
#: Seconds for which polls obey a ``Retry-After`` at most: a server that asks for a day is asked again all the same.
MAX_COOLDOWN = 900.0
#: Digits of a ``Retry-After`` that are read; a longer number is for ever (a billion seconds are 31 years).
MAX_RETRY_AFTER_DIGITS = 9
#: Credit that all calls of a client share for retries: enough for a bad minute, not for an outage.
BUDGET_CAPACITY = 500
#: What one retry costs, and what one success gives back: at least five good calls pay for one bad.
BUDGET_COST = 5
BUDGET_GAIN = 1


class Clock(Protocol):
    """Where time comes from; tests move it."""

    def time(self) -> float:
        """Unix seconds."""

    def monotonic(self) -> float:
        """Seconds that never run backwards."""

    def sleep(self, seconds: float) -> None:
        """Wait, holding the thread."""

    async def asleep(self, seconds: float) -> None:
        """Wait, holding only the coroutine."""


class SystemClock:
    """The machine's own clock."""

    def time(self) -> float:
        """Unix seconds."""
        return time.time()

    def monotonic(self) -> float:
        """Seconds that never run backwards."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait, holding the thread."""
        time.sleep(seconds)

    async def asleep(self, seconds: float) -> None:
        """Wait, holding only the coroutine."""
        await asyncio.sleep(seconds)


class RetryBudget:
    """Credit for retries, shared by all calls of a client, so that an outage is not multiplied. Thread-safe."""

    def __init__(self, capacity: int = BUDGET_CAPACITY) -> None:
        self._capacity = capacity
        self._credit = capacity
        self._lock = threading.Lock()

    def spend(self) -> bool:
        """Take what one retry costs; ``False`` (and nothing taken) when the credit does not cover it."""
        with self._lock:
            if self._credit < BUDGET_COST:
                return False
            self._credit -= BUDGET_COST
            return True

    def gain(self) -> None:
        """Give back what one success earns."""
        with self._lock:
            self._credit = min(self._capacity, self._credit + BUDGET_GAIN)


class Cooldown:
    """Until when ARM does not want to be asked; shared by all calls of a client, whoever was told. Monotonic time."""

    def __init__(self) -> None:
        self._until = -math.inf

    def asked_for(self, seconds: float, now: float) -> None:
        """Rest for *seconds* from *now* on, at most :data:`MAX_COOLDOWN`; a longer rest under way stays."""
        self._until = max(self._until, now + min(seconds, MAX_COOLDOWN))

    def left(self, now: float) -> float:
        """Seconds that the rest still lasts; 0 if there is none."""
        return max(0.0, self._until - now)


@dataclass(slots=True)
class RetryPolicy:
    """How often and how far apart. One policy, and so one budget, serves a whole client."""

    max_attempts: int = MAX_ATTEMPTS
    max_total_seconds: float = MAX_TOTAL_SECONDS
    base_delay: float = BASE_DELAY
    max_delay: float = MAX_DELAY
    budget: RetryBudget = field(default_factory=RetryBudget)
    #: Gives a number in [0, 1): the jitter.
    uniform: Callable[[], float] = random_fraction

    def pause(self, attempt: int, elapsed: float, retry_after: float | None) -> float | None:
        """Seconds to wait before the attempt after number *attempt*, or ``None`` to give up.

        Full jitter: anywhere between nothing and a ceiling that doubles, so that clients do not march in step.
        What the server asked for comes on top. A wait that would pass the total is not begun.
        """
        if attempt >= self.max_attempts:
            return None
        ceiling: float = min(self.max_delay, self.base_delay * 2 ** (attempt - 1))
        delay = self.uniform() * ceiling
        if retry_after is not None:
            delay += retry_after
        if elapsed + delay > self.max_total_seconds or not self.budget.spend():
            return None
        return delay


def parse_retry_after(value: str | None, now: float) -> float | None:
    """Read a ``Retry-After`` header, in seconds or as an HTTP date; ``None`` where absent or unreadable.

    :param now: unix seconds, for the date form.
    """
    if value is None:
        return None
    value = value.strip()
    if value.isascii() and value.isdigit():
        # More digits would be an error of their own in int(), and are simply too long a wait.
        return int(value) if len(value) <= MAX_RETRY_AFTER_DIGITS else math.inf
    try:
        moment = email.utils.parsedate_to_datetime(value)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=dt.UTC)
    return max(0.0, moment.timestamp() - now)
