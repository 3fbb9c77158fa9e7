"""Wait for batches: which to poll, when to poll next, when to give up. No I/O: the caller polls and sleeps.

Polling is not retrying: a batch may take hours, and an outage of ARM in the meantime is not a failure of the batch.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from airflow_provider_arm.client.batch_state import BatchState, BatchStatus
from airflow_provider_arm.client.errors import (
    ArmError,
    ArmInvalidResponseError,
    ArmNotFoundError,
    ArmRateLimitError,
    Phase,
)
from airflow_provider_arm.client.http.jitter import JITTER, random_fraction
from airflow_provider_arm.client.http.retry import MAX_COOLDOWN
from airflow_provider_arm.summary import count_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

log = logging.getLogger(__name__)

#: Consecutive polls of a batch that must fail, and seconds that the outage must last besides, before a wait gives up.
#: It survives a restart or a night of maintenance at ARM, and does not wait until the deadline for a batch whose
#: response will never be valid.
MAX_FAILURES = 10
MIN_OUTAGE_SECONDS = 3600.0
#: Share of a batch's age that may pass until the next poll: a batch that is an hour old is polled every three minutes,
#: so its end is noticed at most a twentieth of its duration late. The age counts and not the number of polls, because a
#: wait that continues in another process knows when it started and not how often it has polled.
AGE_SHARE = 0.05
#: Seconds between polls of an old batch, unless the DAG author sets another value.
DEFAULT_MAX_POLL_INTERVAL = 300.0
#: Batches that a message names.
NAMED_BATCHES = 3


class WaitTimeoutError(ArmError):
    """The batches were not finished before the deadline. ARM continues to process them."""

    permanent = False


@dataclass(slots=True)
class BatchWait:
    """State of a wait for batches.

    :param started: unix seconds of the submission or of the first poll.
    :param deadline: unix seconds, so that it survives a restart of the process that waits.
    :param poll_interval: seconds between polls of a young batch, at most.
    :param not_found_grace: seconds after *started* in which ARM may answer 404 for a batch (Q4).
    :param max_poll_interval: seconds between polls of an old batch, at most; default 0: no back-off.
    :param batch_records: number of records that were sent in each batch, as far as it is known.
    :param uniform: returns a random number from 0 to 1.
    """

    batch_uuids: Iterable[str]
    started: float
    deadline: float
    poll_interval: float
    not_found_grace: float = 0.0
    max_poll_interval: float = 0.0
    batch_records: Mapping[str, int] = field(default_factory=dict)
    uniform: Callable[[], float] = random_fraction
    pending: list[str] = field(init=False)
    #: Last status of each finished batch.
    finished: dict[str, BatchStatus] = field(init=False, default_factory=dict)
    #: Number of consecutive failed polls of each batch, and unix seconds of the first. Per batch: that another batch
    #: can be polled says nothing about this one.
    _failures: dict[str, tuple[int, float]] = field(init=False, default_factory=dict)
    #: What the last response of each pending batch has that the readings profile does not explain.
    _unexplained: dict[str, str] = field(init=False, default_factory=dict)
    _logged_reasons: set[str] = field(init=False, default_factory=set)
    #: Unix seconds until which ARM has asked not to be polled (``Retry-After``).
    _cooldown_until: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        """Begin with all batches pending."""
        self.pending = list(dict.fromkeys(self.batch_uuids))

    def record_poll(self, batch_uuid: str, result: BatchStatus | ArmError, now: float) -> None:
        """Record the result of a poll.

        :param now: unix seconds of the poll.
        :raises ArmError: further polls cannot help: a permanent error, or an outage beyond the limits.
        """
        if isinstance(result, ArmError):
            self._record_error(batch_uuid, result, now)
        elif result.state is BatchState.INVALID_RESPONSE:
            self._record_unexplained(batch_uuid, result.reason)
            invalid = ArmInvalidResponseError(f"batch {batch_uuid}: ARM's response is invalid: {result.reason}")
            self._count_failure(batch_uuid, invalid, now)
        else:
            self._failures.pop(batch_uuid, None)
            self._unexplained.pop(batch_uuid, None)
            if result.doubt:
                self._record_unexplained(batch_uuid, result.doubt)
            if result.state.finished:
                self.pending.remove(batch_uuid)
                self.finished[batch_uuid] = result

    def first_delay(self, now: float) -> float:
        """Return the seconds until the first poll in a process that continues the wait: random within the interval.

        A triggerer that starts with thousands of waits must not poll for all of them at once. The last poll is never
        skipped: a wait whose deadline has passed in the meantime polls at once.
        """
        return max(0.0, min(self.poll_interval * self.uniform(), self.deadline - now))

    def next_delay(self, now: float) -> float:
        """Return the seconds until the next poll.

        :raises WaitTimeoutError: the deadline has passed.
        """
        if now >= self.deadline:
            raise WaitTimeoutError(self.timeout_message())
        if self._cooldown_until > now:
            # Spread over a whole interval: all clients got the same end of the cooldown.
            seconds = self._cooldown_until - now + self.poll_interval * self.uniform()
        else:
            seconds = self._interval(now) * (1 - JITTER * self.uniform())
        return max(0.0, min(seconds, self.deadline - now))

    def timeout_message(self) -> str:
        """Return which batches are pending at the deadline, and what is known about them."""
        named = ", ".join(self.pending[:NAMED_BATCHES]) + (", ..." if len(self.pending) > NAMED_BATCHES else "")
        total = len(self.pending) + len(self.finished)
        were = "was" if total == 1 else "were"
        message = f"{len(self.pending)} of {count_text(total, 'batch')} {were} not finished in time ({named})"
        if not self._unexplained:
            return f"{message}; ARM continues to process them, and a BatchSensor can wait for them again"
        reasons = "; ".join(sorted(set(self._unexplained.values()))[:NAMED_BATCHES])
        return (
            f"{message}. The readings do not explain ARM's responses for {len(self._unexplained)} of them, so it is "
            f"not known whether these are finished: {reasons}. Correct the profile in the connection's extra "
            "(readings); a BatchSensor can then wait for the batches again"
        )

    def _record_unexplained(self, batch_uuid: str, reason: str) -> None:
        """Keep what a response has that the profile does not explain, for the timeout; log it the first time."""
        self._unexplained[batch_uuid] = reason
        if reason not in self._logged_reasons:
            self._logged_reasons.add(reason)
            log.warning("Batch %s: unexpected response from ARM: %s; polling continues", batch_uuid, reason)

    def _interval(self, now: float) -> float:
        return max(self.poll_interval, min(AGE_SHARE * (now - self.started), self.max_poll_interval))

    def _record_error(self, batch_uuid: str, error: ArmError, now: float) -> None:
        if isinstance(error, ArmNotFoundError) and now - self.started < self.not_found_grace:
            return
        if error.permanent:
            raise error
        if error.retry_after is not None:
            self._cooldown_until = max(self._cooldown_until, now + min(error.retry_after, MAX_COOLDOWN))
        if isinstance(error, ArmRateLimitError) and error.phase is Phase.NOT_SENT:
            return  # the client held the request back during a cooldown: there was no poll
        self._count_failure(batch_uuid, error, now)

    def _count_failure(self, batch_uuid: str, error: ArmError, now: float) -> None:
        failures, since = self._failures.get(batch_uuid, (0, now))
        self._failures[batch_uuid] = (failures + 1, since)
        if failures + 1 >= MAX_FAILURES and now - since >= MIN_OUTAGE_SECONDS:
            raise error


@dataclass(frozen=True, slots=True)
class WaitTimes:
    """Start, deadline and poll intervals of a wait: the same rule on a worker, in a sensor and in the triggerer.

    :param started: unix seconds of the submission or of the first poll.
    :param deadline: unix seconds.
    :param poll_interval: seconds between polls of a young batch.
    :param max_poll_interval: seconds between polls of an old batch, at most; default ``DEFAULT_MAX_POLL_INTERVAL``. A
        value up to *poll_interval*, such as 0, turns the back-off off.
    """

    started: float
    deadline: float
    poll_interval: float
    max_poll_interval: float | None = None

    def wait(
        self, batch_uuids: Iterable[str], batch_records: Mapping[str, int], not_found_grace: float = 0.0
    ) -> BatchWait:
        """Build the state of a wait that starts, or continues, with these times."""
        longest = DEFAULT_MAX_POLL_INTERVAL if self.max_poll_interval is None else self.max_poll_interval
        return BatchWait(
            batch_uuids,
            self.started,
            self.deadline,
            self.poll_interval,
            not_found_grace,
            max_poll_interval=longest,
            batch_records=batch_records,
        )
