"""Wait for batches that another task submitted."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.common.compat.sdk import (
    AirflowFailException,
    AirflowSensorTimeout,
    AirflowSkipException,
    BaseSensorOperator,
    PokeReturnValue,
    conf,
)

from airflow_provider_arm.exceptions import ArmBatchFailedException, translate_arm_errors
from airflow_provider_arm.hooks.arm import ArmHook
from airflow_provider_arm.links.batch import BatchLink
from airflow_provider_arm.runtime.arguments import REJECTS_SUFFIXES, check_choice, check_suffix
from airflow_provider_arm.runtime.records import as_batch_uuids

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Literal

    from airflow.providers.common.compat.sdk import Context
    from airflow.sdk import XComArg

    from airflow_provider_arm.client.batch_state import BatchStatus
    from airflow_provider_arm.submission.results.batch_wait import BatchWait


class BatchSensor(BaseSensorOperator):
    """Wait until batches are finished (``GET /clients/{clientno}/batches/{batchuuid}``), and judge them.

    Works in ``mode="poke"``, ``mode="reschedule"`` and deferred; each gives the same result and the same errors. ARM
    being away for a while ends no wait. A batch with refused records is a failure unless the author's policy says
    otherwise.

    :param batch_uuid: one batchUuid, a list, or what ``BatchSubmitOperator`` returned. Templated.
    :param on_rejected: ``"fail"`` (default) or ``"warn"``: what more refused records than *max_rejected* mean.
    :param max_rejected: refused records that are no failure: a count (default 0) or a share such as ``"2%"``.
        Templated.
    :param rejects_path: address of a ``.jsonl`` or ``.csv`` file for the refused records with ARM's reasons. With what
        ``BatchSubmitOperator`` returned for a *source*, each line has the record itself and is a valid source once
        corrected; with bare uuids it has what ARM names. Templated.
    :param deferrable: wait in the triggerer; default ``[operators] default_deferrable``.
    :param arm_conn_id: connection of type ``arm``; default ``arm_default``. Templated.
    :param client_no: the ARM client; default the connection's. Templated.
    :param poke_interval: seconds between two looks; default 30. Deferred, the looks at a batch that takes long get
        further apart, up to Airflow's ``max_wait`` (default five minutes). ``timeout``, ``mode``, ``soft_fail`` and the
        others are Airflow's.
    :return: ``{"batch_uuids", "submitted", "accepted", "rejected", "rejects_uri"}``; counts are ``None`` where ARM did
        not say.
    :raises ArmBatchFailedException: more records were refused than the policy allows.
    :raises AirflowSensorTimeout: the batches were not finished in time. They go on in ARM.
    """

    template_fields: Sequence[str] = ("arm_conn_id", "client_no", "batch_uuid", "max_rejected", "rejects_path")
    operator_extra_links = (BatchLink(),)
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
        deferrable: bool = conf.getboolean("operators", "default_deferrable", fallback=False),
        poke_interval: timedelta | float = 30,
        **kwargs: Any,
    ) -> None:
        super().__init__(poke_interval=poke_interval, **kwargs)
        check_choice("on_rejected", on_rejected, ("fail", "warn"))
        check_suffix("rejects_path", rejects_path, REJECTS_SUFFIXES)
        self.batch_uuid = batch_uuid
        self.arm_conn_id = arm_conn_id
        self.client_no = client_no
        self.on_rejected = on_rejected
        self.max_rejected = max_rejected
        self.rejects_path = rejects_path
        self.deferrable = deferrable
        self._wait: BatchWait | None = None

    @cached_property
    def hook(self) -> ArmHook:
        """The hook for this task's connection and client."""
        return ArmHook(self.arm_conn_id, client_no=self.client_no)

    def execute(self, context: Context) -> Any:
        """Look once; then defer, or poke as Airflow's sensors do."""
        if not self.deferrable:
            return super().execute(context)
        try:
            with translate_arm_errors():
                result = self._poke()
        except AirflowFailException as error:
            # As the base does around poke and around execute_complete.
            if self.soft_fail or self.never_fail:
                msg = f"Skipped because of soft_fail: {error}"
                raise AirflowSkipException(msg) from None
            raise
        if result is None:
            self._defer()
        return result

    def poke(self, context: Context) -> bool | PokeReturnValue:
        """Look at every batch that is not finished yet."""
        with translate_arm_errors():
            result = self._poke()
        return False if result is None else PokeReturnValue(is_done=True, xcom_value=result)

    def execute_complete(self, context: Context, event: Any, deadline: float | None = None) -> dict[str, Any]:
        """Go on after the trigger: look at each batch once more and judge it, as a poke does.

        Where ARM cannot answer at this moment, or no longer says that a batch is finished, the wait goes on.

        :param deadline: unix seconds at which the wait ends however often it was deferred; ``dag.test()`` drops it.
        """
        from airflow_provider_arm.triggers.events import check_event

        with translate_arm_errors():
            check_event(event, timeout_error=AirflowSensorTimeout)
            result = self._poke()
        if result is None:
            self._defer(deadline)
        return result

    def _poke(self) -> dict[str, Any] | None:
        """Give the result, or ``None`` while a batch is pending."""
        uuids = as_batch_uuids(self.batch_uuid)
        from airflow_provider_arm.runtime.batch_polling import look_at_pending
        from airflow_provider_arm.runtime.rejects import check_rejects_path

        check_rejects_path(self.rejects_path)  # a wrong argument is told now, not in an hour
        self._policy()
        if self._wait is None:
            from airflow_provider_arm.submission.results.batch_wait import WaitTimes

            now = time.time()
            times = WaitTimes(now, now + self.timeout, self.poke_interval)  # between pokes Airflow's sensor waits
            self._wait = times.wait(uuids, self.hook.client.assumptions.batch_not_found_grace)
        wait = self._wait
        look_at_pending(self.hook.client, wait)
        if wait.pending:
            self.log.info("%d of %d batches are not finished", len(wait.pending), len(uuids))
            return None
        return self._judge(uuids, [wait.finished[uuid] for uuid in uuids])

    def _policy(self) -> Any:
        from airflow_provider_arm.submission.results.reject_policy import RejectPolicy

        return RejectPolicy(self.on_rejected, self.max_rejected)

    def _judge(self, uuids: list[str], statuses: Sequence[BatchStatus]) -> dict[str, Any]:
        from airflow_provider_arm.runtime.rejects import find_again, found_in, invalid_in, write_rejects
        from airflow_provider_arm.submission.results.outcome import count_outcomes, describe_counts
        from airflow_provider_arm.submission.results.reject_policy import TaskOutcome
        from airflow_provider_arm.submission.sending.recovered import in_chunk_order

        batches = in_chunk_order(list(zip(uuids, statuses, strict=True)), found_in(self.batch_uuid))
        totals = count_outcomes([status for _, status in batches])
        invalid = invalid_in(self.batch_uuid)
        total = None if totals.submitted is None else totals.submitted + invalid
        bad = None if totals.rejected is None else totals.rejected + invalid
        outcome = self._policy().task_outcome(total, bad)
        for uuid, status in batches:
            level = logging.INFO if status.failed == 0 else logging.WARNING
            self.log.log(level, "Batch %s: %s", uuid or "without its batchUuid", status.reason)
        uri = None
        if outcome is not TaskOutcome.SUCCEED:
            rejects, model = find_again(self.batch_uuid, batches)
            uri, where = write_rejects(rejects, self.rejects_path, bad, model)
            message = f"{describe_counts('records', totals.submitted, totals.rejected, invalid)}; {where}"
            if outcome is TaskOutcome.FAIL:
                raise ArmBatchFailedException(message)
            self.log.warning(message)
        return {
            "batch_uuids": uuids,
            "submitted": totals.submitted,
            "accepted": totals.accepted,
            "rejected": totals.rejected,
            "rejects_uri": uri,
        }

    def _defer(self, deadline: float | None = None) -> NoReturn:
        from airflow_provider_arm.triggers.batch import DEFER_MARGIN, BatchTrigger

        now = time.time()
        deadline = now + self.timeout if deadline is None else deadline
        self.defer(
            trigger=BatchTrigger(
                batch_uuids=as_batch_uuids(self.batch_uuid),
                arm_conn_id=self.arm_conn_id,
                client_no=self.hook.client.client_no,
                poll_interval=self.poke_interval,
                started=now,
                deadline=deadline,
                max_poll_interval=self.max_wait.total_seconds() if self.max_wait else None,
            ),
            method_name="execute_complete",
            kwargs={"deadline": deadline},
            timeout=timedelta(seconds=max(0.0, deadline - now)) + DEFER_MARGIN,
        )
