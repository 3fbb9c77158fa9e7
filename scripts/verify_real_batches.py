"""One batch from its submit to its result, with the response of every poll."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.batch_state import BatchState, BatchStatus, classify_batch

if TYPE_CHECKING:
    from verify_real_wire import RawResponse, Wire

NOT_FOUND = 404
_SUCCESSES = range(200, 300)
#: Polls without a pause after the submit, as long as the batch is not found.
_IMMEDIATE_POLLS = 5
#: Seconds between polls: the short interval first, the long one later.
_FAST_SECONDS, _INTERVAL, _SLOW_INTERVAL = 60, 1, 5
#: Lists in a batch that are not its records.
_NOT_RECORDS = {"errors", "warnings"}


@dataclass
class BatchRun:
    """A submitted batch and its polls, without those that returned 404."""

    submitted: RawResponse
    polls: list[RawResponse] = field(default_factory=list)
    #: Immediate polls that returned 404.
    not_found_polls: int = 0
    #: Seconds until the batch was found, if no immediate poll found it.
    not_found_seconds: float = 0

    @property
    def accepted(self) -> bool:
        """Whether ARM accepted the submit."""
        return self.submitted.status in _SUCCESSES

    @property
    def uuid(self) -> str:
        """The batchUuid; empty if ARM returned none."""
        return str(self.submitted.object.get("batchUuid") or "") if self.accepted else ""

    @property
    def last(self) -> RawResponse | None:
        """The response of the last poll that found the batch."""
        return self.polls[-1] if self.polls else None

    @property
    def status(self) -> BatchStatus:
        """The status that the client derives from the last poll."""
        return _classify(self.last) if self.last else BatchStatus(BatchState.PENDING, "never found")

    @property
    def pending(self) -> RawResponse | None:
        """The response of the first poll at which the batch was not finished."""
        return next((response for response in self.polls if _classify(response).state is BatchState.PENDING), None)

    def why_undecided(self) -> str:
        """Return why the result of the batch is not known; empty if it is known."""
        if not self.accepted:
            return f"the batch was refused: {self.submitted.status}"
        if not self.uuid:
            return "no batchUuid, so the batch cannot be polled"
        if not self.status.state.finished:
            return f"the client saw no result of the batch: {self.status.reason}"
        return ""


def _classify(response: RawResponse) -> BatchStatus:
    return classify_batch(response.status, response.json)


def records_of(response: RawResponse) -> tuple[str, list[dict[str, Any]]]:
    """Return the key of the records in a response for a batch, and the records; both empty if there are none."""
    for name, value in response.object.items():
        if name not in _NOT_RECORDS and isinstance(value, list) and value and all(isinstance(r, dict) for r in value):
            return name, value
    return "", []


def run_batch(wire: Wire, resource: str, records: list[Any], batch_timeout: float) -> BatchRun:
    """Submit a batch (POST) and poll it; see :func:`poll_until_finished`."""
    run = BatchRun(wire.write("POST", f"{resource}/batches", resource, records))
    poll_until_finished(wire, run, batch_timeout)
    return run


def poll_until_finished(wire: Wire, run: BatchRun, batch_timeout: float) -> None:
    """Poll a batch until it is finished, a response is invalid, or ``batch_timeout`` seconds have passed."""
    waited, count = 0.0, 0
    while run.uuid and waited <= batch_timeout:
        response = wire.get("batches", run.uuid)
        count += 1
        if response.status != NOT_FOUND:
            run.polls.append(response)
            if run.status.state is not BatchState.PENDING:
                return
        elif count <= _IMMEDIATE_POLLS:
            run.not_found_polls += 1
            continue
        if response.status == NOT_FOUND:
            run.not_found_polls = 0
            run.not_found_seconds = waited + _INTERVAL
        interval = _INTERVAL if waited < _FAST_SECONDS else _SLOW_INTERVAL
        wire.wait(interval)
        waited += interval
