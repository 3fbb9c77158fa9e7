"""Rule that decides whether rejects fail a task, shared by operators and sensors. Cheap to import."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from airflow_provider_arm.client.errors import ArmConfigurationError

_FAIL, _WARN = "fail", "warn"


def read_max_rejected(_: str, value: Any) -> Any:
    """Return the argument *max_rejected* after its check."""
    return RejectPolicy(max_rejected=value).max_rejected


class TaskOutcome(StrEnum):
    """What the rejects mean for the task."""

    SUCCEED = "succeed"
    #: Succeed, with a warning in the log.
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class RejectPolicy:
    """How many rejects the DAG author allows.

    :param on_rejected: outcome if there are more rejects than *max_rejected*: ``fail`` (default) or ``warn``.
    :param max_rejected: rejects that do not fail the task: a count, or a share of all records such as ``"2%"``.
    :raises ArmConfigurationError: an argument has another value.
    """

    on_rejected: str = _FAIL
    max_rejected: int | str = 0

    def __post_init__(self) -> None:
        """Check the arguments."""
        if self.on_rejected not in (_FAIL, _WARN):
            raise ArmConfigurationError(f'on_rejected must be "{_FAIL}" or "{_WARN}", not {self.on_rejected!r}')
        self._max_allowed(1)

    def task_outcome(self, total: int | None, rejected: int | None) -> TaskOutcome:
        """Return what *rejected* of *total* records mean; ``None`` (unknown) counts as too many."""
        if rejected == 0:
            return TaskOutcome.SUCCEED
        if self.is_within_limit(total, rejected):
            return TaskOutcome.WARN
        return TaskOutcome.FAIL if self.on_rejected == _FAIL else TaskOutcome.WARN

    def is_within_limit(self, total: int | None, rejected: int | None) -> bool:
        """Return whether *max_rejected* allows the rejects."""
        return rejected == 0 or (rejected is not None and total is not None and rejected <= self._max_allowed(total))

    @property
    def limit(self) -> str:
        """*max_rejected* as text, such as "10" or "1 %"."""
        number = str(self.max_rejected).strip()
        return f"{number.removesuffix('%').strip()} %" if number.endswith("%") else number

    def _max_allowed(self, total: int) -> int:
        text = str(self.max_rejected).strip()
        number = text.removesuffix("%").strip()
        if isinstance(self.max_rejected, bool) or not (number.isascii() and number.isdigit()):
            msg = f'max_rejected must be a count such as 10 or a share such as "2%", not {self.max_rejected!r}'
            raise ArmConfigurationError(msg)
        return total * int(number) // 100 if text.endswith("%") else int(number)
