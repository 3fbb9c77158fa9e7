"""Waiting for batches on a worker, and the one look of a worker that takes over from the triggerer."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from airflow_provider_arm.client.errors import ArmError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from airflow_provider_arm.client import ArmClient
    from airflow_provider_arm.client.batch_state import BatchStatus
    from airflow_provider_arm.submission.results.batch_wait import BatchWait, WaitTimes

log = logging.getLogger(__name__)


def wait_for_batches(
    client: ArmClient,
    batch_uuids: Sequence[str],
    times: WaitTimes,
    *,
    now: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> list[BatchStatus]:
    """Poll until every batch is finished; gives their last states in order.

    :raises WaitTimeoutError: the deadline has come.
    :raises ArmError: an error that will not pass.
    """
    wait = times.wait(batch_uuids, client.assumptions.batch_not_found_grace)
    while True:
        look_at_pending(client, wait, now)
        if not wait.pending:
            return [wait.finished[batch_uuid] for batch_uuid in batch_uuids]
        sleep(wait.next_delay(now()))


def look_at_batches(
    client: ArmClient, batch_uuids: Sequence[str], times: WaitTimes, *, now: Callable[[], float] = time.time
) -> list[BatchStatus] | None:
    """Look at each batch once; ``None`` where one is not finished, or ARM cannot say so now.

    :raises ArmError: an error that will not pass.
    """
    wait = times.wait(batch_uuids, client.assumptions.batch_not_found_grace)
    look_at_pending(client, wait, now)
    return None if wait.pending else [wait.finished[batch_uuid] for batch_uuid in batch_uuids]


def look_at_pending(client: ArmClient, wait: BatchWait, now: Callable[[], float] = time.time) -> None:
    """Look once at each batch that is not finished, and tell the wait what that brought.

    :raises ArmError: an error that will not pass.
    """
    for batch_uuid in list(wait.pending):
        seen: BatchStatus | ArmError
        try:
            seen = client.get_batch(batch_uuid)
        except ArmError as error:
            seen = error
            log.warning("Batch %s: %s", batch_uuid, error)
        wait.record_poll(batch_uuid, seen, now())
