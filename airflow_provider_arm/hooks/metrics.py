"""What Airflow's metrics show of ARM. Names and numbers only: no metric holds a key of a record.

- ``arm.request``: counter of attempts at calls of ARM and of the token service, by ``operation`` and ``status``
  (``lost`` where no answer came).
- ``arm.batch.wait``: timer of deferred waits from the submission to their end, by ``outcome``.
- ``arm.export.rows``: counter of the rows of whole exports, by ``operation`` (the list that was read).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from airflow.providers.common.compat.sdk import Stats

if TYPE_CHECKING:
    from airflow_provider_arm.client.http.messages import Request, Response, TransportFailure

REQUEST = "arm.request"
BATCH_WAIT = "arm.batch.wait"
EXPORT_ROWS = "arm.export.rows"


def count_request(request: Request, outcome: Response | TransportFailure) -> None:
    """Count one attempt at a call: by its status, or as lost."""
    status = getattr(outcome, "status", None)
    Stats.incr(REQUEST, tags={"operation": request.operation.name, "status": "lost" if status is None else str(status)})


def count_rows(rows: int, operation: str) -> None:
    """Count what an export has written, once it is whole."""
    Stats.incr(EXPORT_ROWS, rows, tags={"operation": operation})


def record_batch_wait(seconds: float, outcome: str) -> None:
    """Note how long batches were waited for, and how it ended: ``finished``, ``timeout`` or ``failed``."""
    Stats.timing(BATCH_WAIT, max(0.0, seconds) * 1000, tags={"outcome": outcome})
