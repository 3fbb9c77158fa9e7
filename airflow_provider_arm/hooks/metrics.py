"""Airflow metrics about ARM. They have names and numbers only: no metric contains a key of a record.

- ``arm.request``: counter of attempts of calls to ARM and to the token service, by ``operation`` and ``status``
  (``no_response`` if no response arrived).
- ``arm.batch.wait``: timer of deferred waits, from the submission to the end of the wait, by ``outcome``.
- ``arm.export.rows``: counter of the rows of complete exports, by ``operation`` (the list that was read).
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
    """Count one attempt of a call, by its HTTP status or as ``no_response``."""
    status = getattr(outcome, "status", None)
    Stats.incr(
        REQUEST, tags={"operation": request.operation.name, "status": "no_response" if status is None else str(status)}
    )


def count_rows(rows: int, operation: str) -> None:
    """Count the rows of a complete export."""
    Stats.incr(EXPORT_ROWS, rows, tags={"operation": operation})


def record_batch_wait(seconds: float, outcome: str) -> None:
    """Record the duration of a wait for batches and its outcome: ``finished``, ``timeout`` or ``failed``."""
    Stats.timing(BATCH_WAIT, max(0.0, seconds) * 1000, tags={"outcome": outcome})
