"""Records, sources and responses that several submission tests use."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.batch_state import BatchState, BatchStatus
from airflow_provider_arm.client.models import CustomerWrite, Document, WriteResponse
from airflow_provider_arm.client.operations import OPERATIONS
from airflow_provider_arm.submission.sources.source import FileSource

if TYPE_CHECKING:
    from pathlib import Path

CUSTOMERS = OPERATIONS["create_customer_batch"]
DOCUMENTS = OPERATIONS["create_document_batch"]
MODELS = {"customers": CustomerWrite, "documents": Document}

#: Personal data that no message may contain.
CANARY = "Kanarifugl"


def customer(number: int, **more: Any) -> dict[str, Any]:
    """Return a customer."""
    return {"customerNo": str(number), "name": f"Customer {number}", **more}


def document(number: int, **more: Any) -> dict[str, Any]:
    """Return a document."""
    return {"customerNo": "543210", "documentNo": str(number), **more}


def file_source(path: Path, content: str | bytes, resource: str = "customers") -> FileSource:
    """Write a file and return its source."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return FileSource(path, str(path), MODELS[resource], resource)


def write_answer(status: str = "PROCESSED", **more: Any) -> WriteResponse:
    """Return ARM's response for one record."""
    return WriteResponse.from_wire({"status": status, **more})


def failed_answer(*messages: tuple[str, str], **more: Any) -> WriteResponse:
    """Return ARM's response for a record that it refuses."""
    errors = [{"field": field, "message": message} for field, message in messages]
    return write_answer("FAILED", errors=errors, **more)


def finished_batch(*records: WriteResponse) -> BatchStatus:
    """Return the status of a finished batch with these records."""
    bad = sum(record.status == "FAILED" for record in records)
    state = BatchState.PARTIAL if bad else BatchState.SUCCEEDED
    return BatchStatus(state, "finished", total=len(records), failed=bad, records=records)
