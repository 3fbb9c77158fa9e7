"""When refused records fail a task: one rule for operator and sensor. Loads nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from airflow_provider_arm.client.errors import ArmConfigurationError

_FAIL, _WARN = "fail", "warn"


class TaskOutcome(StrEnum):
    """What becomes of the task."""

    SUCCEED = "succeed"
    #: Green, with a warning in the log.
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class RejectPolicy:
    """What the author allows.

    :param on_rejected: ``fail`` (default) or ``warn``: what more refused records than *max_rejected* mean.
    :param max_rejected: refused records that are no failure: a count, or a share of all such as ``"2%"``.
    :raises ArmConfigurationError: a value is none of these.
    """

    on_rejected: str = _FAIL
    max_rejected: int | str = 0

    def __post_init__(self) -> None:
        """Check the values."""
        if self.on_rejected not in (_FAIL, _WARN):
            msg = f'on_rejected must be "{_FAIL}" or "{_WARN}", not {self.on_rejected!r}'
            raise ArmConfigurationError(msg)
        self._allowed(1)

    def task_outcome(self, total: int | None, rejected: int | None) -> TaskOutcome:
        """Say what *rejected* of *total* records mean; ``None`` (ARM did not say how many) counts as too many."""
        if rejected == 0:
            return TaskOutcome.SUCCEED
        if rejected is not None and total is not None and rejected <= self._allowed(total):
            return TaskOutcome.WARN
        return TaskOutcome.FAIL if self.on_rejected == _FAIL else TaskOutcome.WARN

    def _allowed(self, total: int) -> int:
        text = str(self.max_rejected).strip()
        number = text.removesuffix("%").strip()
        if isinstance(self.max_rejected, bool) or not (number.isascii() and number.isdigit()):
            msg = f'max_rejected must be a count such as 10 or a share such as "2%", not {self.max_rejected!r}'
            raise ArmConfigurationError(msg)
        return total * int(number) // 100 if text.endswith("%") else int(number)
