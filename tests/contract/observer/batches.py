"""Batches from their submit to their result, with the response of every poll.

Whether a batch is finished is decided by its effect, not by its status, whose words are not known yet: the records that
it creates can be read, and its response no longer changes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.batch_state import BatchState, BatchStatus, classify_batch

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.contract.observer.wire import RawResponse, Wire

OK, NOT_FOUND = 200, 404
_SUCCESSES = range(200, 300)
#: Polls without a pause after the submit, as long as the batch is not found.
_IMMEDIATE_POLLS = 5
#: Seconds between polls: the short interval first, the long one later.
_FAST_SECONDS, _INTERVAL, _SLOW_INTERVAL = 60, 1, 5
#: Equal responses after which a batch without an effect counts as finished, once the others are.
_STABLE_POLLS = 30
#: The same for a batch that has taken effect.
_EFFECTIVE_POLLS = 3
#: A status: one word, of letters.
_WORD = re.compile(r"[A-Za-z][A-Za-z_-]{1,39}")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
#: Texts that are no status.
_NO_STATUS = {"message", "result", "resource", "type"}


def words_in(body: dict[str, Any]) -> dict[str, str]:
    """Return the values of an object that may be a status, by key."""
    return {
        key: value
        for key, value in body.items()
        if isinstance(value, str) and key not in _NO_STATUS and _WORD.fullmatch(value)
    }


def numbers_in(body: dict[str, Any]) -> dict[str, int]:
    """Return the whole numbers of an object, by key."""
    return {key: value for key, value in body.items() if isinstance(value, int) and not isinstance(value, bool)}


def lists_in(body: dict[str, Any]) -> dict[str, list[dict[str, Any]]]:
    """Return the lists of objects in an object, by key; without empty ones."""
    return {
        key: value
        for key, value in body.items()
        if isinstance(value, list) and value and all(isinstance(each, dict) for each in value)
    }


def uuid_key_in(body: dict[str, Any], expected: str) -> str:
    """Return the key of the batchUuid: the expected one, or that of the only UUID; empty if there is none."""
    if isinstance(body.get(expected), str):
        return expected
    found = [key for key, value in body.items() if isinstance(value, str) and _UUID.fullmatch(value)]
    return found[0] if len(found) == 1 else ""


@dataclass
class BatchRun:
    """A submitted batch and its polls, without those that returned 404."""

    wire: Wire = field(repr=False)
    submitted: RawResponse
    #: Resource and number of each record that exists when the batch has taken effect.
    creates: Sequence[tuple[str, str]] = ()
    polls: list[RawResponse] = field(default_factory=list)
    #: Immediate polls that returned 404.
    not_found_polls: int = 0
    #: Seconds until the batch was found, if no immediate poll found it.
    not_found_seconds: float = 0
    #: Whether the records of *creates* exist.
    has_effect: bool = False
    #: Whether its response will not change any more.
    settled: bool = False

    @property
    def accepted(self) -> bool:
        """Whether ARM accepted the submit."""
        return self.submitted.status in _SUCCESSES

    @property
    def uuid(self) -> str:
        """The batchUuid; empty if ARM returned none."""
        key = uuid_key_in(self.submitted.raw, self.wire.readings.batch.uuid_key)
        return str(self.submitted.raw[key]) if key and self.accepted else ""

    @property
    def last(self) -> RawResponse | None:
        """The response of the last poll that found the batch, read with the profile of now."""
        return replace(self.polls[-1], readings=self.wire.readings) if self.polls else None

    @property
    def status(self) -> BatchStatus:
        """The status that the client derives from the last poll."""
        return self._classify(self.polls[-1]) if self.polls else BatchStatus(BatchState.PENDING, "never found")

    @property
    def pending(self) -> list[RawResponse]:
        """The responses before the batch was finished."""
        if not self.polls:
            return []
        last = _signature(self.polls[-1])
        return [replace(each, readings=self.wire.readings) for each in self.polls if _signature(each) != last]

    def why_undecided(self) -> str:
        """Return why the result of the batch is not known; empty if it is known."""
        if not self.accepted:
            return f"the batch was refused: {self.submitted.status}"
        if not self.uuid:
            return "no batchUuid, so the batch cannot be polled"
        if not self.status.state.finished:
            return f"the client saw no result of the batch: {self.status.reason}"
        return ""

    def _classify(self, response: RawResponse) -> BatchStatus:
        return classify_batch(response.status, response.json, self.wire.readings)

    def poll(self, waited: float, *, others_settled: bool) -> None:
        """Poll once; directly after the submit, until the batch is found.

        :param waited: seconds since the submit.
        :param others_settled: whether all batches with an effect are finished.
        """
        for _ in range(_IMMEDIATE_POLLS if not waited else 1):
            response = self.wire.get("batches", self.uuid)
            if response.status != NOT_FOUND:
                self.polls.append(response)
                self.settled = self._is_settled(others_settled=others_settled)
                return
            self.not_found_polls += not waited
        self.not_found_polls = 0
        self.not_found_seconds = waited + interval_after(waited)

    def _is_settled(self, *, others_settled: bool) -> bool:
        if self.creates and not self.has_effect:
            self.has_effect = all(self.wire.get(*each).status == OK for each in self.creates)
            if self.has_effect:
                # The result may be written after the records: the next poll has it.
                self.polls.append(self.wire.get("batches", self.uuid))
        status = self.status
        if status.state.finished:
            return True
        if status.state is BatchState.PENDING and not status.doubt:
            return False
        count = _EFFECTIVE_POLLS if self.has_effect else _STABLE_POLLS
        is_stable = len(self.polls) >= count and len({_signature(each) for each in self.polls[-count:]}) == 1
        return is_stable and (self.has_effect or others_settled)


def _signature(response: RawResponse) -> str:
    """Return what changes in the response when a batch goes on."""
    body = response.raw
    records = [sorted(words_in(each).items()) for found in lists_in(body).values() for each in found]
    return repr((response.status, sorted(words_in(body).items()), sorted(numbers_in(body).items()), records))


def interval_after(waited: float) -> int:
    """Return the seconds until the next poll."""
    return _INTERVAL if waited < _FAST_SECONDS else _SLOW_INTERVAL


def poll_until_settled(wire: Wire, runs: Sequence[BatchRun], batch_timeout: float) -> None:
    """Poll batches until all are finished, or ``batch_timeout`` seconds have passed."""
    waited = 0.0
    while waited <= batch_timeout:
        open_runs = [run for run in runs if run.uuid and not run.settled]
        if not open_runs:
            return
        others_settled = not any(run.creates and not run.settled for run in runs)
        for run in open_runs:
            run.poll(waited, others_settled=others_settled)
        wire.wait(interval_after(waited))
        waited += interval_after(waited)
