"""Start a DAG when batches are finished that somebody else has submitted."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow_provider_arm.files import check_absolute
from airflow_provider_arm.hooks.arm import ArmHook
from airflow_provider_arm.triggers.event_stream import ArmEventTrigger, as_text

#: Seconds between two looks.
DEFAULT_POLL_INTERVAL = 60.0


class BatchFinishedEventTrigger(ArmEventTrigger):
    """Sends an event whenever all batches of a receipt are finished: for an ``AssetWatcher``.

    ARM has no list of batches. Whoever submits some leaves a receipt in a folder
    (``airflow_provider_arm.submission.batch_receipts.write_receipt``, or any JSON file
    ``{"batch_uuids": [...]}``); the watcher reads the folder, looks at the batches
    (``GET /clients/{clientno}/batches/{batchuuid}``) and sends one event for each receipt::

        {"batch_uuids": ["..."], "submitted": 1200, "rejected": 7, "succeeded": 2, "partial": 1, "refused": 0,
         "unknown": 0}

    ``submitted`` and ``rejected`` count records and are ``None`` where ARM does not say; the others count batches:
    ``partial`` ones have refused records, of ``refused`` ones ARM took none, and ``unknown`` ones it does not know.
    Then the receipt is removed. It stands until Airflow has stored the event, on every version, so that no restart
    loses one; an event comes twice only where the triggerer dies in between.

    Where the DAG that submits can wait itself, no watcher is needed: ``outlets=[asset]`` on a deferred ``BatchSensor``.

    :param receipts_path: the folder (local and absolute, ``s3://``, ``gs://``, ...); the triggerer reads and writes it.
        One watcher a folder: another one would miss what the first has removed. Several assets may have the same.
    :param arm_conn_id: connection of type ``arm``; default ``arm_default``.
    :param client_no: the ARM client; default the connection's.
    :param poll_interval: seconds between two looks; default 60.
    :raises ValueError: a number or a folder that cannot be.
    """

    worker: ClassVar[str] = "airflow_provider_arm.triggers.polling.finished_batches_poller"

    def __init__(
        self,
        *,
        receipts_path: str,
        arm_conn_id: str = ArmHook.default_conn_name,
        client_no: int | None = None,
        poll_interval: float = DEFAULT_POLL_INTERVAL,
    ) -> None:
        super().__init__(arm_conn_id=arm_conn_id, client_no=client_no, poll_interval=poll_interval)
        check_absolute(receipts_path, "receipts_path", "the triggerer starts in a folder of its own")
        self.receipts_path = receipts_path

    def arguments(self) -> dict[str, Any]:
        """Give the arguments as text, numbers and None."""
        return {
            "receipts_path": self.receipts_path,
            "arm_conn_id": self.arm_conn_id,
            "client_no": self.client_no,
            "poll_interval": self.poll_interval,
        }

    def stream_key(self) -> tuple[str, ...]:
        """Name the poll: whoever watches a folder at another interval shares it, because a receipt is told once."""
        return ("arm_batch_finished", as_text([self.receipts_path, self.arm_conn_id, self.client_no]))
