"""Implementation of ``BatchFinishedEventTrigger``. Imported in the triggerer only: the import is slow."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_arm.client.batch_state import BatchState, BatchStatus
from airflow_provider_arm.client.errors import ArmError, ArmNotFoundError
from airflow_provider_arm.submission.batch_receipts import ReceiptBatches, read_receipts, remove_receipt
from airflow_provider_arm.triggers.polling.poll_loop import poll_forever

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Iterable

    from airflow_provider_arm.client import AsyncArmClient
    from airflow_provider_arm.triggers.batch_finished import BatchFinishedEventTrigger

log = logging.getLogger(__name__)

#: Batches that are polled concurrently: they must not delay the other waits of the connection.
MAX_CONCURRENT_POLLS = 8
#: Consecutive polls that do not find a batch (ARM may not find a new one at once, Q4), or whose response is invalid,
#: before it counts as unknown: a receipt must not wait for ever.
UNDECIDED_POLLS = 10


@dataclass(slots=True)
class ReceiptStatus:
    """State of the batches of one receipt."""

    batches: ReceiptBatches
    finished: dict[str, BatchStatus | None] = field(default_factory=dict)
    #: Number of consecutive polls of each batch that did not find it, or whose response was invalid.
    undecided: dict[str, int] = field(default_factory=dict)
    #: Its event is sent, and may not be stored yet.
    is_reported: bool = False

    @property
    def pending(self) -> list[str]:
        """Batches that are not finished."""
        return [uuid for uuid in self.batches if uuid not in self.finished]

    def count_undecided(self, uuid: str, reason: object) -> None:
        """Count a poll that decided nothing about a batch, which is unknown after ``UNDECIDED_POLLS`` of them."""
        self.undecided[uuid] = self.undecided.get(uuid, 0) + 1
        if self.undecided[uuid] >= UNDECIDED_POLLS:
            log.error("Batch %s: %s", uuid, reason)
            self.finished[uuid] = None

    def payload(self) -> dict[str, Any]:
        """Return the event payload: how the batches ended, in counts, without records."""
        known = [status for status in self.finished.values() if status is not None]
        states = [status.state for status in known]
        return {
            "batch_uuids": list(self.batches),
            "submitted": _sum([status.total for status in known]),
            "rejected": _sum([_count_rejected(status) for status in known]),
            "succeeded": states.count(BatchState.SUCCEEDED),
            "partial": states.count(BatchState.PARTIAL),
            "refused": states.count(BatchState.REJECTED),
            "unknown": len(self.batches) - len(known),
        }


@dataclass(slots=True, eq=False)
class FinishedReceipts:
    """Result of one poll: the receipts whose batches are all finished."""

    folder: ReceiptFolder
    payloads: dict[str, dict[str, Any]]

    async def confirm(self) -> None:
        """Remove the receipts, because Airflow has stored their events."""
        await self.folder.remove(self.payloads)

    def abandon(self) -> None:
        """Report the receipts again, because not every event is stored."""
        self.folder.report_again(self.payloads)


class ReceiptFolder:
    """Folder of batch receipts, and the state of their batches."""

    def __init__(self, trigger: BatchFinishedEventTrigger) -> None:
        self._folder = ObjectStoragePath(trigger.receipts_path)
        self._client_no = trigger.client_no
        self._receipts: dict[str, ReceiptStatus] = {}
        self._invalid_files: set[str] = set()
        #: Held while the folder is read, so that a receipt that is removed meanwhile does not reappear.
        self._reading = asyncio.Lock()

    async def poll(self, client: AsyncArmClient) -> AsyncGenerator[FinishedReceipts, None]:
        """Read the folder, poll its batches once, and yield the finished receipts."""
        async with self._reading:
            await self._read()
        pending = [
            (receipt, uuid)
            for receipt in self._receipts.values()
            if not receipt.is_reported
            for uuid in receipt.pending
        ]
        error: ArmError | None = None
        for first in range(0, len(pending), MAX_CONCURRENT_POLLS):
            group = pending[first : first + MAX_CONCURRENT_POLLS]
            errors = await asyncio.gather(*(self._poll_batch(client, receipt, uuid) for receipt, uuid in group))
            error = next(filter(None, errors), None)
            if error is not None:
                break
        finished = {
            name: receipt for name, receipt in self._receipts.items() if not receipt.pending and not receipt.is_reported
        }
        for receipt in finished.values():
            receipt.is_reported = True
        # Also without finished receipts: the next result confirms the previous one.
        yield FinishedReceipts(self, {name: receipt.payload() for name, receipt in finished.items()})
        if error is not None:
            raise error

    async def remove(self, names: Iterable[str]) -> None:
        """Remove receipts whose events are stored. One that cannot be removed is not reported again by this process."""
        for name in names:
            async with self._reading:
                try:
                    await asyncio.to_thread(remove_receipt, self._folder, name)
                except Exception as error:  # noqa: BLE001 - each object store has exceptions of its own
                    log.warning(
                        "Receipt %s cannot be removed (%s): a restart reports it again", name, type(error).__name__
                    )
                else:
                    self._receipts.pop(name, None)

    def report_again(self, names: Iterable[str]) -> None:
        """Mark the receipts so that the next poll reports them again."""
        for name in names:
            if name in self._receipts:
                self._receipts[name].is_reported = False

    async def _read(self) -> None:
        """Read the folder in a thread."""
        known = {name: receipt.batches for name, receipt in self._receipts.items()}
        receipts = await asyncio.to_thread(read_receipts, self._folder, known)
        for name, batches in receipts.items():
            if batches is None:
                if name not in self._invalid_files:
                    log.error('%s is not a batch receipt, which has {"batch_uuids": [...]}: skipped', name)
                    self._invalid_files.add(name)
            elif name not in self._receipts:
                self._receipts[name] = ReceiptStatus(batches)
                self._invalid_files.discard(name)
        # A receipt that was removed from the folder is no longer polled.
        self._receipts = {name: receipt for name, receipt in self._receipts.items() if name in receipts}

    async def _poll_batch(self, client: AsyncArmClient, receipt: ReceiptStatus, uuid: str) -> ArmError | None:
        """Poll one batch; return the error if it ends this poll."""
        try:
            status = await client.get_batch(uuid, client_no=self._client_no, submitted=receipt.batches[uuid])
        except ArmNotFoundError as error:
            receipt.count_undecided(uuid, error)
            return None
        except ArmError as error:
            return error
        if status.state is BatchState.INVALID_RESPONSE:
            log.warning("Batch %s: invalid response from ARM: %s", uuid, status.reason)
            receipt.count_undecided(uuid, status.reason)
            return None
        receipt.undecided.pop(uuid, None)
        if status.state.finished:
            # Only counts are reported; the records of a thousand batches must not stay in memory.
            receipt.finished[uuid] = replace(status, records=(), failed=_count_rejected(status))
        return None


async def poll_results(trigger: BatchFinishedEventTrigger) -> AsyncIterator[FinishedReceipts]:
    """Poll the folder and its batches without end."""
    folder = ReceiptFolder(trigger)
    async with aclosing(poll_forever(trigger, folder.poll, f"Finished batches ({trigger.arm_conn_id})")) as results:  # type: ignore[type-var]
        async for result in results:
            yield result


async def payloads(
    _: BatchFinishedEventTrigger, results: AsyncIterator[FinishedReceipts]
) -> AsyncIterator[dict[str, Any]]:
    """Yield the payload of each finished receipt."""
    async for result in results:
        for payload in result.payloads.values():
            log.info("%d batches at ARM are finished", len(payload["batch_uuids"]))
            yield payload


def _count_rejected(status: BatchStatus) -> int | None:
    """Return the number of rejected records; ``None`` if ARM does not return it."""
    if status.failed is not None:
        return status.failed
    return {BatchState.SUCCEEDED: 0, BatchState.REJECTED: status.total}.get(status.state)


def _sum(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None
