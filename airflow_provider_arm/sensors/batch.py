"""Sensor that waits for batches that another task has submitted."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_arm.argument_readers import Reader, choice, flag, may_be_empty, path, seconds, text
from airflow_provider_arm.exceptions import ArmBatchFailedException, ArmWaitError, translate_arm_errors
from airflow_provider_arm.hooks.arm import ArmHook
from airflow_provider_arm.hooks.settings import read_client_no
from airflow_provider_arm.links.batch import BATCH_LINKS
from airflow_provider_arm.runtime.arguments import REJECTS_SUFFIXES, check_arguments, read_arguments
from airflow_provider_arm.submission.results.reject_policy import read_max_rejected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import timedelta
    from typing import Literal

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg

    from airflow_provider_arm.runtime.submitted import Submitted
    from airflow_provider_arm.submission.results.batch_wait import BatchWait, WaitTimes


class BatchSensor(BaseSensorOperator):
    """Wait until batches are finished (``GET /clients/{clientno}/batches/{batchuuid}``), and apply the reject policy.

    ``mode="poke"``, ``mode="reschedule"`` and deferred mode have the same results and errors. A temporary outage of ARM
    does not end the wait. Rejects fail the task unless *max_rejected* or *on_rejected* allows them.

    :param batch_uuid: a batchUuid, a list of them, or the result of ``BatchSubmitOperator``, also of a mapped one
        (``submit.output``). With a result, a batch for which ARM counts other records than were sent never succeeds.
        Templated.
    :param on_rejected: ``"fail"`` (default) or ``"warn"``: what happens if there are more rejects than *max_rejected*.
    :param max_rejected: rejects that do not fail the task: a count or a share such as ``"2%"``. Default 0. Templated.
    :param rejects_path: path of a ``.jsonl`` or ``.csv`` file for the rejects with ARM's reasons. If *batch_uuid* is
        the result of a ``BatchSubmitOperator`` with a *source*, it contains the records and is a valid source once
        corrected; otherwise it contains what ARM returns about them. Templated.
    :param warnings_path: path of a ``.jsonl`` or ``.csv`` file for ARM's warnings about accepted records, one line each
        with row, key, field and text. Default: their number is in the result, and the first fields are in the log.
        Templated.
    :param deferrable: wait in the triggerer. Default ``[operators] default_deferrable``.
    :param arm_conn_id: connection of type ``arm``. Default ``arm_default``. Templated.
    :param client_no: number of the ARM client. Default: the connection's. Templated.
    :param poke_interval: seconds between status checks. Default 30. In deferred mode the interval grows with the age of
        the batch, up to Airflow's ``max_wait`` (default five minutes). ``timeout``, ``mode`` and others are those of
        ``BaseSensorOperator``. ``soft_fail=True`` skips the task after a time-out or too many rejects, in every mode;
        any other error, such as refused credentials, fails it.
    :return: ``{"batch_uuids", "submitted", "accepted", "rejected", "rejects_uri", "warnings", "warnings_uri",
        "summary"}``; counts that ARM does not return are ``None``, ``warnings`` is a number of records, and ``summary``
        the outcome in one sentence, as in the log.
    :raises ArmBatchFailedException: there are more rejects than the policy allows.
    :raises AirflowSensorTimeout: the batches were not finished in time. ARM continues to process them.
    """

    template_fields: Sequence[str] = (
        "arm_conn_id",
        "client_no",
        "batch_uuid",
        "max_rejected",
        "rejects_path",
        "warnings_path",
    )
    argument_readers: ClassVar[Mapping[str, Reader]] = {
        "arm_conn_id": text,
        "client_no": read_client_no,
        "on_rejected": choice("fail", "warn"),
        "max_rejected": read_max_rejected,
        "rejects_path": may_be_empty(path(*REJECTS_SUFFIXES)),
        "warnings_path": may_be_empty(path(*REJECTS_SUFFIXES)),
        "deferrable": flag,
    }
    operator_extra_links = BATCH_LINKS
    ui_color = "#dcebf7"

    def __init__(
        self,
        *,
        batch_uuid: str | Sequence[str] | Mapping[str, Any] | XComArg,
        arm_conn_id: str = ArmHook.default_conn_name,
        client_no: int | str | None = None,
        on_rejected: Literal["fail", "warn"] = "fail",
        max_rejected: int | str = 0,
        rejects_path: str | None = None,
        warnings_path: str | None = None,
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: timedelta | float | str = 30,
        **kwargs: Any,
    ) -> None:
        # Airflow reads no numbers that are text, and accepts infinity.
        times = {
            name: seconds()(name, kwargs.pop(name)) for name in ("timeout", "max_wait") if kwargs.get(name) is not None
        }
        interval = seconds(positive=True)("poke_interval", poke_interval)
        super().__init__(poke_interval=interval, **times, **kwargs)
        self.batch_uuid = batch_uuid
        self.arm_conn_id = arm_conn_id
        self.client_no = client_no
        self.on_rejected = on_rejected
        self.max_rejected = max_rejected
        self.rejects_path = rejects_path
        self.warnings_path = warnings_path
        self.deferrable = deferrable
        check_arguments(self)
        #: What the batches belong to, once the argument is read.
        self.submissions: list[Submitted] = []
        self._wait: BatchWait | None = None
        #: Unix seconds at which a wait in mode poke ends.
        self._deadline = math.inf

    @cached_property
    def hook(self) -> ArmHook:
        """Hook for this task's connection and client."""
        return ArmHook(self.arm_conn_id, client_no=self.client_no)

    def execute(self, context: Context) -> Any:
        """Poll once, then defer; without *deferrable*, poke as Airflow's sensors do."""
        self._deadline = time.time() + self.timeout
        if not self.deferrable:
            return super().execute(context)
        try:
            with self._translate_errors():
                result = self._poll()
        except AirflowException as error:
            # As BaseSensorOperator does around poke() and execute_complete().
            if self.soft_fail or self.never_fail:
                raise AirflowSkipException(f"Skipped because of soft_fail or never_fail: {error}") from None
            raise
        return self._defer() if result is None else result

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """Poll every batch that is not finished yet."""
        with self._translate_errors():
            result = self._poll()
            if result is None and self._wait is not None and not self.reschedule and time.time() >= self._deadline:
                # Airflow's own message at this moment does not have the reason.
                raise AirflowSensorTimeout(self._wait.timeout_message())
        return False if result is None else PokeReturnValue(is_done=True, xcom_value=result)

    def execute_complete(self, context: Context, event: Any, deadline: float | None = None) -> dict[str, Any]:
        """Poll each batch once more after the trigger, and evaluate it as a poke does.

        If ARM is not available now, or a batch is not finished, the task defers again.

        :param deadline: unix seconds at which the wait ends, regardless of the number of deferrals; ``dag.test()``
            loses it.
        """
        from airflow_provider_arm.triggers.events import check_event

        with self._translate_errors():
            check_event(event, timeout_error=AirflowSensorTimeout)
            result = self._poll()
        return self._defer(deadline) if result is None else result

    @contextmanager
    def _translate_errors(self) -> Iterator[None]:
        """Raise errors as Airflow's. With *soft_fail*, Airflow skips the task after its own: time-out and rejects."""
        try:
            with translate_arm_errors():
                yield
        except (ArmBatchFailedException, AirflowSensorTimeout):
            raise
        except AirflowException as error:
            if self.soft_fail:
                raise ArmWaitError(str(error)) from None
            raise

    def _poll(self) -> dict[str, Any] | None:
        """Return the result, or ``None`` if a batch is pending."""
        from airflow_provider_arm.runtime.batch_polling import poll_pending, start_wait
        from airflow_provider_arm.runtime.rejects import evaluate_batches
        from airflow_provider_arm.runtime.submitted import read_submitted
        from airflow_provider_arm.submission.results.reject_policy import RejectPolicy

        read_arguments(self)  # before the wait, not after it
        policy = RejectPolicy(self.on_rejected, self.max_rejected)
        self.submissions = read_submitted(self.batch_uuid)
        if self._wait is None:
            # BaseSensorOperator waits between pokes.
            self._wait = start_wait(self.hook.client, self.submissions, self._times(None))
        wait = self._wait
        poll_pending(self.hook.client, wait)
        if wait.pending:
            self.log.info(
                "%d of %d batches are not finished", len(wait.pending), len(wait.pending) + len(wait.finished)
            )
            return None
        finished = [submitted.finish(wait.finished) for submitted in self.submissions]
        return {
            "batch_uuids": list(wait.batch_uuids),
            **evaluate_batches(finished, policy, self.rejects_path, self.warnings_path),
        }

    def _times(self, deadline: float | None) -> WaitTimes:
        from airflow_provider_arm.submission.results.batch_wait import WaitTimes

        now = time.time()
        longest = self.max_wait.total_seconds() if self.max_wait else None
        return WaitTimes(now, now + self.timeout if deadline is None else deadline, self.poke_interval, longest)

    def _defer(self, deadline: float | None = None) -> NoReturn:
        from airflow_provider_arm.runtime.batch_polling import build_deferral

        self.defer(**build_deferral(self, self.submissions, self._times(deadline)))
