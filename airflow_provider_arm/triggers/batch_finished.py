"""Event trigger for finished batches that another DAG or system has submitted."""

from __future__ import annotations

from typing import Any, ClassVar

from airflow_provider_arm.argument_readers import path
from airflow_provider_arm.hooks.arm import ArmHook
from airflow_provider_arm.triggers.event_stream import ArmEventTrigger, as_text

#: Seconds between polls.
DEFAULT_POLL_INTERVAL = 60.0


class BatchFinishedEventTrigger(ArmEventTrigger):
    """Event trigger, for an ``AssetWatcher``, that sends an event when all batches of a receipt are finished.

    ARM has no list of batches. The submitting side writes a batch receipt to a folder
    (``airflow_provider_arm.submission.batch_receipts.write_receipt``, or any JSON file
    ``{"batch_uuids": ["..."], "batch_records": {"...": 500}}``); the trigger reads the folder, polls the batches
    (``GET /clients/{clientno}/batches/{batchuuid}``) and sends one event for each receipt::

        {"batch_uuids": ["..."], "submitted": 1200, "rejected": 7, "succeeded": 2, "partial": 1, "refused": 0,
         "unknown": 0}

    ``submitted`` and ``rejected`` count records and are ``None`` if ARM does not return the counts. The others count
    batches: ``partial`` with some rejected records, ``refused`` with only rejected records, ``unknown`` those that ARM
    does not have, or whose response stays invalid, such as one that counts other records than ``batch_records``. The
    receipt is removed only after Airflow has stored the event, in every Airflow version, so that no restart loses an
    event; an event is sent twice only if the triggerer dies in between.

    If the submitting DAG can wait itself, no watcher is needed: ``outlets=[asset]`` on a deferred ``BatchSensor``.

    :param receipts_path: the folder (local and absolute, ``s3://``, ``gs://``, ...); the triggerer reads and writes it.
        One watcher per folder: a second one would miss receipts removed by the first. It may serve several assets.
    :param arm_conn_id: connection of type ``arm``; default ``arm_default``.
    :param client_no: the ARM client; default the connection's.
    :param poll_interval: seconds between polls; default 60.
    :raises ValueError: an invalid number or folder.
    """

    implementation_module: ClassVar[str] = "airflow_provider_arm.triggers.polling.finished_batches_poller"

    def __init__(
        self,
        *,
        receipts_path: str,
        arm_conn_id: str = ArmHook.default_conn_name,
        client_no: int | None = None,
        poll_interval: float = DEFAULT_POLL_INTERVAL,
    ) -> None:
        super().__init__(arm_conn_id=arm_conn_id, client_no=client_no, poll_interval=poll_interval)
        self.receipts_path = path(absolute=True)("receipts_path", receipts_path)

    def arguments(self) -> dict[str, Any]:
        """Return the arguments as text, numbers and None."""
        return {
            "receipts_path": self.receipts_path,
            "arm_conn_id": self.arm_conn_id,
            "client_no": self.client_no,
            "poll_interval": self.poll_interval,
        }

    def stream_key(self) -> tuple[str, ...]:
        """Return the key of the poll. The interval is not part of it: a receipt is reported once."""
        return ("arm_batch_finished", as_text([self.receipts_path, self.arm_conn_id, self.client_no]))
