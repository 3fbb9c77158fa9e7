"""What a ``BatchFinishedEventTrigger`` does when it runs. Loaded in the triggerer only, off the loop: it is heavy."""

from __future__ import annotations

import asyncio
import logging
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from airflow.providers.common.compat.sdk import ObjectStoragePath

from airflow_provider_arm.client.batch_state import BatchState, BatchStatus
from airflow_provider_arm.client.errors import ArmError, ArmNotFoundError
from airflow_provider_arm.submission.batch_receipts import read_receipts, remove_receipt
from airflow_provider_arm.triggers.polling.poll_loop import poll_forever

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from airflow_provider_arm.client import AsyncArmClient
    from airflow_provider_arm.triggers.batch_finished import BatchFinishedEventTrigger

log = logging.getLogger(__name__)

#: Batches that are looked at in the same moment: other waits of the connection must not be crowded out.
LOOKS_AT_ONCE = 8
#: Looks in a row at which ARM does not know a batch before that is believed: it may take a moment to know one (Q4).
UNKNOWN_LOOKS = 10


@dataclass(slots=True)
class ReceiptStatus:
    """What is known of the batches of one receipt."""

    uuids: list[str]
    finished: dict[str, BatchStatus | None] = field(default_factory=dict)
    #: How often in a row ARM did not know each batch.
    unknown: dict[str, int] = field(default_factory=dict)
    #: Its event is on its way.
    is_told: bool = False

    @property
    def pending(self) -> list[str]:
        """The batches that are not finished."""
        return [uuid for uuid in self.uuids if uuid not in self.finished]

    def payload(self) -> dict[str, Any]:
        """Say how the batches ended: counts, no record."""
        known = [status for status in self.finished.values() if status is not None]
        states = [status.state for status in known]
        return {
            "batch_uuids": self.uuids,
            "submitted": _sum([status.total for status in known]),
            "rejected": _sum([_refused(status) for status in known]),
            "succeeded": states.count(BatchState.SUCCEEDED),
            "partial": states.count(BatchState.PARTIAL),
            "refused": states.count(BatchState.REJECTED),
            "unknown": len(self.uuids) - len(known),
        }


@dataclass(slots=True, eq=False)
class Round:
    """What one look brought: the receipts whose batches are all finished."""

    watched: Watched
    payloads: dict[str, dict[str, Any]]

    async def confirm(self) -> None:
        """Airflow has stored the events: the receipts have done their work."""
        await self.watched.remove(self.payloads)

    def abandon(self) -> None:
        """Not every event is stored: the receipts are told again."""
        self.watched.tell_again(self.payloads)


class Watched:
    """A folder of receipts."""

    def __init__(self, trigger: BatchFinishedEventTrigger) -> None:
        self._folder = ObjectStoragePath(trigger.receipts_path)
        self._client_no = trigger.client_no
        self._receipts: dict[str, ReceiptStatus] = {}
        self._refused: set[str] = set()
        #: A receipt that is removed while the folder is read must not come back.
        self._reading = asyncio.Lock()

    async def take(self, client: AsyncArmClient) -> AsyncGenerator[Round, None]:
        """Look once."""
        async with self._reading:
            await self._read()
        waiting = [
            (receipt, uuid) for receipt in self._receipts.values() if not receipt.is_told for uuid in receipt.pending
        ]
        error: ArmError | None = None
        for first in range(0, len(waiting), LOOKS_AT_ONCE):
            seen = await asyncio.gather(*(self._see(client, *each) for each in waiting[first : first + LOOKS_AT_ONCE]))
            error = next(filter(None, seen), None)
            if error is not None:
                break
        done = {
            name: receipt for name, receipt in self._receipts.items() if not receipt.pending and not receipt.is_told
        }
        for receipt in done.values():
            receipt.is_told = True
        # Also where there is nothing to tell: it shows that the one before has arrived.
        yield Round(self, {name: receipt.payload() for name, receipt in done.items()})
        if error is not None:
            raise error

    async def remove(self, names: Any) -> None:
        """Remove receipts whose events are stored. One that cannot be removed stays told for as long as this runs."""
        for name in names:
            async with self._reading:
                try:
                    await asyncio.to_thread(remove_receipt, self._folder, name)
                except Exception as error:  # noqa: BLE001 - each object store has exceptions of its own
                    log.warning(
                        "Receipt %s cannot be removed (%s): a restart tells it again", name, type(error).__name__
                    )
                else:
                    self._receipts.pop(name, None)

    def tell_again(self, names: Any) -> None:
        """Let the receipts be told with the next look."""
        for name in names:
            if name in self._receipts:
                self._receipts[name].is_told = False

    async def _read(self) -> None:
        """Read the folder, in a thread."""
        known = {name: receipt.uuids for name, receipt in self._receipts.items()}
        there = await asyncio.to_thread(read_receipts, self._folder, known)
        for name, uuids in there.items():
            if uuids is None:
                if name not in self._refused:
                    log.error('%s is no receipt: it needs {"batch_uuids": [...]}; it is passed over', name)
                    self._refused.add(name)
            elif name not in self._receipts:
                self._receipts[name] = ReceiptStatus(uuids)
                self._refused.discard(name)
        # One that somebody took away is nobody's concern any more.
        self._receipts = {name: receipt for name, receipt in self._receipts.items() if name in there}

    async def _see(self, client: AsyncArmClient, receipt: ReceiptStatus, uuid: str) -> ArmError | None:
        """Look at one batch; gives the error that ends the look for now."""
        try:
            status = await client.get_batch(uuid, client_no=self._client_no)
        except ArmNotFoundError as error:
            receipt.unknown[uuid] = receipt.unknown.get(uuid, 0) + 1
            if receipt.unknown[uuid] >= UNKNOWN_LOOKS:
                log.error("Batch %s: %s", uuid, error)  # noqa: TRY400 - the sentence says all
                receipt.finished[uuid] = None
            return None
        except ArmError as error:
            return error
        receipt.unknown.pop(uuid, None)
        if status.state is BatchState.INVALID_RESPONSE:
            log.warning("Batch %s: ARM's answer is unclear: %s", uuid, status.reason)
        elif status.state.finished:
            # Counts are all that is told; a thousand batches' records must not stay here until then.
            receipt.finished[uuid] = replace(status, records=(), failed=_refused(status))
        return None


async def rounds(trigger: BatchFinishedEventTrigger) -> AsyncIterator[Round]:
    """Look at the folder and its batches for ever."""
    watched = Watched(trigger)
    async with aclosing(poll_forever(trigger, watched.take, f"Finished batches ({trigger.arm_conn_id})")) as looks:  # type: ignore[type-var]
        async for look in looks:
            yield look


async def events(_: BatchFinishedEventTrigger, looks: AsyncIterator[Round]) -> AsyncIterator[dict[str, Any]]:
    """Give the payload of each receipt that is done."""
    async for look in looks:
        for payload in look.payloads.values():
            log.info("%d batches at ARM are finished", len(payload["batch_uuids"]))
            yield payload


def _refused(status: BatchStatus) -> int | None:
    """Count refused records; ``None`` where ARM does not say."""
    if status.failed is not None:
        return status.failed
    return {BatchState.SUCCEEDED: 0, BatchState.REJECTED: status.total}.get(status.state)


def _sum(counts: list[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known and len(known) == len(counts) else None
