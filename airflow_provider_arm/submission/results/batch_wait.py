"""Waiting for batches: what to ask next, when to give up. Pure; the asking and the sleeping are the caller's.

Polling is not retrying: a batch may take hours, and an outage of ARM in between is not the batch's failure.
"""

from __future__ import annotations

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

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

#: Looks in a row at a batch that may fail, and seconds that an outage must last besides, before a wait gives up: a
#: restart or a night's maintenance of ARM is survived, an answer that will never be readable is not waited for until
#: the deadline.
MAX_FAILURES = 10
MIN_OUTAGE_SECONDS = 3600.0
#: Share of a batch's age that may pass until the next look: a batch that has taken an hour is looked at each three
#: minutes, so its end is noticed at most a twentieth later than it came. By age and not by the number of looks, because
#: a wait that goes on in another process knows when it began and not how often it has looked.
AGE_SHARE = 0.05
#: Seconds between two looks at an old batch, unless the author says otherwise.
DEFAULT_MAX_POLL_INTERVAL = 300.0
#: Batches that a message names.
NAMED_BATCHES = 3


class WaitTimeoutError(ArmError):
    """The deadline came before the batches were finished. They go on in ARM."""

    permanent = False


@dataclass(slots=True)
class BatchWait:
    """A wait for some batches.

    :param started: unix seconds of the submission or of the first look.
    :param deadline: unix seconds, so that it survives a restart of the process that waits.
    :param poll_interval: seconds between two looks at a young batch, at most.
    :param not_found_grace: seconds after *started* in which a batch may not be known yet (Q4).
    :param max_poll_interval: seconds between status checks of an old batch, at most; default 0: no back-off.
    """

    batch_uuids: Iterable[str]
    started: float
    deadline: float
    poll_interval: float
    not_found_grace: float = 0.0
    max_poll_interval: float = 0.0
    uniform: Callable[[], float] = random_fraction
    pending: list[str] = field(init=False)
    #: The last word on each finished batch.
    finished: dict[str, BatchStatus] = field(init=False, default_factory=dict)
    #: How often in a row each batch could not be read, and since when: a neighbour that can be read says nothing of it.
    _failing: dict[str, tuple[int, float]] = field(init=False, default_factory=dict)
    #: Unix seconds before which ARM does not want to be asked.
    _rest_until: float = field(init=False, default=0.0)

    def __post_init__(self) -> None:
        """Begin with all batches pending."""
        self.pending = list(dict.fromkeys(self.batch_uuids))

    def record_poll(self, batch_uuid: str, seen: BatchStatus | ArmError, now: float) -> None:
        """Take what a look at a batch brought at unix time *now*.

        :raises ArmError: it will not get better: a permanent error, or an outage beyond the limits.
        """
        if isinstance(seen, ArmError):
            self._saw_error(batch_uuid, seen, now)
        elif seen.state is BatchState.INVALID_RESPONSE:
            unclear = ArmInvalidResponseError(f"batch {batch_uuid}: ARM's answer is unclear: {seen.reason}")
            self._failed(batch_uuid, unclear, now)
        else:
            self._failing.pop(batch_uuid, None)
            if seen.state.finished:
                self.pending.remove(batch_uuid)
                self.finished[batch_uuid] = seen

    def first_delay(self, now: float) -> float:
        """Seconds until the first look of a process that takes the wait over: anywhere within the poll interval.

        A triggerer that starts with thousands of waits must not ask for all of them at once. The last look is never
        skipped: a wait whose deadline has passed meanwhile looks at once.
        """
        return max(0.0, min(self.poll_interval * self.uniform(), self.deadline - now))

    def next_delay(self, now: float) -> float:
        """Seconds until the next look.

        :raises WaitTimeoutError: the deadline has come.
        """
        if now >= self.deadline:
            named = ", ".join(self.pending[:NAMED_BATCHES]) + (", ..." if len(self.pending) > NAMED_BATCHES else "")
            msg = (
                f"{len(self.pending)} of {len(self.pending) + len(self.finished)} batches were not finished in time "
                f"({named}); they go on in ARM, and a BatchSensor can wait for them again"
            )
            raise WaitTimeoutError(msg)
        if self._rest_until > now:
            # Spread over a whole interval: all who were told to rest were told the same moment.
            seconds = self._rest_until - now + self.poll_interval * self.uniform()
        else:
            seconds = self._interval(now) * (1 - JITTER * self.uniform())
        return max(0.0, min(seconds, self.deadline - now))

    def _interval(self, now: float) -> float:
        return max(self.poll_interval, min(AGE_SHARE * (now - self.started), self.max_poll_interval))

    def _saw_error(self, batch_uuid: str, error: ArmError, now: float) -> None:
        if isinstance(error, ArmNotFoundError) and now - self.started < self.not_found_grace:
            return
        if error.permanent:
            raise error
        if error.retry_after is not None:
            self._rest_until = max(self._rest_until, now + min(error.retry_after, MAX_COOLDOWN))
        if isinstance(error, ArmRateLimitError) and error.phase is Phase.NOT_SENT:
            return  # held back because ARM asked for a rest: nobody looked
        self._failed(batch_uuid, error, now)

    def _failed(self, batch_uuid: str, error: ArmError, now: float) -> None:
        failures, since = self._failing.get(batch_uuid, (0, now))
        self._failing[batch_uuid] = (failures + 1, since)
        if failures + 1 >= MAX_FAILURES and now - since >= MIN_OUTAGE_SECONDS:
            raise error


@dataclass(frozen=True, slots=True)
class WaitTimes:
    """Start, deadline and poll intervals of a wait: the same rule on a worker, in a sensor and in the triggerer.

    :param started: unix seconds of the submission or of the first status check.
    :param deadline: unix seconds.
    :param poll_interval: seconds between status checks of a young batch.
    :param max_poll_interval: seconds between status checks of an old batch, at most; default
        ``DEFAULT_MAX_POLL_INTERVAL``. A value up to *poll_interval*, such as 0, turns the back-off off.
    """

    started: float
    deadline: float
    poll_interval: float
    max_poll_interval: float | None = None

    def wait(self, batch_uuids: Iterable[str], not_found_grace: float = 0.0) -> BatchWait:
        """Build the state of a wait that starts, or continues, with these times."""
        longest = DEFAULT_MAX_POLL_INTERVAL if self.max_poll_interval is None else self.max_poll_interval
        return BatchWait(
            batch_uuids, self.started, self.deadline, self.poll_interval, not_found_grace, max_poll_interval=longest
        )
