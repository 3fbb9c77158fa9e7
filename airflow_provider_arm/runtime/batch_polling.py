"""Polling of batches on a worker, and the deferral of a wait to the triggerer."""

from __future__ import annotations

import logging
import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from airflow_provider_arm.client import ArmClient
    from airflow_provider_arm.client.batch_state import BatchStatus
    from airflow_provider_arm.runtime.submitted import Submitted
    from airflow_provider_arm.submission.results.batch_wait import BatchWait, WaitTimes

log = logging.getLogger(__name__)


def wait_for_batches(client: ArmClient, submitted: Submitted, times: WaitTimes) -> dict[str, BatchStatus]:
    """Poll until every batch is finished, and return their last statuses.

    :raises WaitTimeoutError: the deadline has passed.
    :raises ArmError: a permanent error, or an outage beyond the limits of :class:`BatchWait`.
    """
    wait = start_wait(client, [submitted], times)
    while True:
        poll_pending(client, wait)
        if not wait.pending:
            return wait.finished
        time.sleep(wait.next_delay(time.time()))


def start_wait(client: ArmClient, submissions: Sequence[Submitted], times: WaitTimes) -> BatchWait:
    """Build the state of a wait for the batches of one or several submissions."""
    uuids = [uuid for submitted in submissions for uuid in submitted.batch_uuids]
    batch_records = {uuid: records for each in submissions for uuid, records in each.batch_records.items()}
    return times.wait(uuids, batch_records, client.readings.batch.not_found_grace)


def poll_batches(client: ArmClient, submitted: Submitted, times: WaitTimes) -> dict[str, BatchStatus] | None:
    """Poll each batch once; return ``None`` if one is not finished or cannot be polled now.

    :raises ArmError: a permanent error.
    """
    wait = start_wait(client, [submitted], times)
    poll_pending(client, wait)
    return None if wait.pending else wait.finished


def poll_pending(client: ArmClient, wait: BatchWait) -> None:
    """Poll each batch that is not finished, once, and record the results in *wait*.

    :raises ArmError: see :meth:`BatchWait.record_poll`.
    """
    for batch_uuid in list(wait.pending):
        result: BatchStatus | ArmError
        try:
            result = client.get_batch(batch_uuid, submitted=wait.batch_records.get(batch_uuid))
        except ArmError as error:
            result = error
            log.warning("Batch %s: %s", batch_uuid, error)
        wait.record_poll(batch_uuid, result, time.time())


def build_deferral(task: Any, submissions: Sequence[Submitted], times: WaitTimes, **kwargs: Any) -> dict[str, Any]:
    """Build the arguments with which *task*, an operator or a sensor, defers until the batches are finished.

    :param kwargs: passed to its ``execute_complete``, together with the deadline.
    """
    from airflow_provider_arm.triggers.batch import DEFER_MARGIN, BatchTrigger

    wait = start_wait(task.hook.client, submissions, times)
    trigger = BatchTrigger(
        batch_uuids=wait.pending,
        batch_records=dict(wait.batch_records),
        arm_conn_id=task.arm_conn_id,
        client_no=task.hook.client.client_no,
        poll_interval=times.poll_interval,
        started=times.started,
        deadline=times.deadline,
        max_poll_interval=times.max_poll_interval,
    )
    return {
        "trigger": trigger,
        "method_name": "execute_complete",
        "kwargs": {**kwargs, "deadline": times.deadline},
        "timeout": timedelta(seconds=max(0.0, times.deadline - times.started)) + DEFER_MARGIN,
    }
