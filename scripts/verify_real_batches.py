"""One batch from its submit to its end, with every look that was taken."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.batch_state import BatchState, BatchStatus, classify_batch

if TYPE_CHECKING:
    from verify_real_wire import Seen, Wire

NOT_FOUND = 404
_SUCCESSES = range(200, 300)
#: Looks right after the submit, before any time is let pass.
_AT_ONCE = 5
#: A look every second at first, then every five.
_EAGER_SECONDS, _STEP, _LONG_STEP = 60, 1, 5
#: Lists in a batch that are not its records.
_NOT_RECORDS = {"errors", "warnings"}


@dataclass
class Story:
    """What became of a batch."""

    submitted: Seen
    looks: list[Seen] = field(default_factory=list)
    #: 404s to looks that followed the submit at once.
    unknown_looks: int = 0
    #: Seconds until a batch was known that no look at once had found.
    unknown_seconds: float = 0

    @property
    def accepted(self) -> bool:
        """Whether ARM took the submit."""
        return self.submitted.status in _SUCCESSES

    @property
    def uuid(self) -> str:
        """The batchUuid; "" where ARM gave none."""
        return str(self.submitted.object.get("batchUuid") or "") if self.accepted else ""

    @property
    def last(self) -> Seen | None:
        """The last look at which the batch was known."""
        return self.looks[-1] if self.looks else None

    @property
    def status(self) -> BatchStatus:
        """What the client makes of the last look."""
        return (
            classify_batch(self.last.status, self.last.json)
            if self.last
            else BatchStatus(BatchState.PENDING, "never known")
        )

    @property
    def pending(self) -> Seen | None:
        """The first look at which the batch was not finished."""
        return next(
            (seen for seen in self.looks if classify_batch(seen.status, seen.json).state is BatchState.PENDING), None
        )

    def why_open(self) -> str:
        """Say why the batch shows nothing of how it ended; "" where it does."""
        if not self.accepted:
            return f"the batch was refused: {self.submitted.status}"
        if not self.uuid:
            return "no batchUuid, so the batch cannot be looked at"
        if not self.status.state.finished:
            return f"the batch came to no end that the client knows: {self.status.reason}"
        return ""


def records_of(seen: Seen) -> tuple[str, list[dict[str, Any]]]:
    """Find the records of a batch and the key under which they stand."""
    for name, value in seen.object.items():
        if name not in _NOT_RECORDS and isinstance(value, list) and value and all(isinstance(r, dict) for r in value):
            return name, value
    return "", []


def run_batch(wire: Wire, resource: str, records: list[Any], patience: float, method: str = "POST") -> Story:
    """Submit a batch and look at it until it is finished, cannot be understood, or the patience is over."""
    story = Story(wire.write(method, f"{resource}/batches", resource, records))
    follow(wire, story, patience)
    return story


def follow(wire: Wire, story: Story, patience: float) -> None:
    """Look at a submitted batch until its end."""
    waited, tries = 0.0, 0
    while story.uuid and waited <= patience:
        seen = wire.get("batches", story.uuid)
        tries += 1
        if seen.status != NOT_FOUND:
            story.looks.append(seen)
            if story.status.state is not BatchState.PENDING:
                return
        elif tries <= _AT_ONCE:
            story.unknown_looks += 1
            continue
        if seen.status == NOT_FOUND:
            story.unknown_looks = 0
            story.unknown_seconds = waited + _STEP
        step = _STEP if waited < _EAGER_SECONDS else _LONG_STEP
        wire.wait(step)
        waited += step
