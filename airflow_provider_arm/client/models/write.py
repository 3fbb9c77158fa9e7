"""Responses to writes."""

from __future__ import annotations

from airflow_provider_arm.client.models.base import ArmModel


class FieldMessage(ArmModel):
    """A message about one field. ``field`` is in PascalCase, unlike all other field names of ARM."""

    field: str | None = None
    message: str | None = None


class WriteResponse(ArmModel):
    """Result of one written record, alone or in a finished batch."""

    #: ``PROCESSED`` or ``FAILED`` (the values that the reference shows).
    status: str | None = None
    #: ``CREATED``, ``DELETED`` (documented), ``UPDATED``, ``REJECTED`` (assumed).
    result: str | None = None
    message: str | None = None
    client_no: int | None = None
    account_no: int | None = None
    customer_no: str | None = None
    document_no: str | None = None
    #: Position in the batch, from 1 (assumed, Q2).
    record_no: int | None = None
    warnings: list[FieldMessage] | None = None
    #: Same structure as ``warnings`` (assumed, Q5).
    errors: list[FieldMessage] | None = None


class BatchReceipt(ArmModel):
    """Response to a submitted batch (Q1). Without ``batch_uuid`` the batch cannot be polled."""

    status: str | None = None
    #: Case-sensitive: never change its case.
    batch_uuid: str | None = None
    message: str | None = None
    client_no: int | None = None
