"""What ARM answers to a write."""

from __future__ import annotations

from airflow_provider_arm.client.models.base import ArmModel


class FieldMessage(ArmModel):
    """A remark on one field. ``field`` is PascalCase here, unlike everywhere else."""

    field: str | None = None
    message: str | None = None


class WriteResponse(ArmModel):
    """The answer to one written record, alone or inside a finished batch."""

    #: ``PROCESSED`` or ``FAILED`` (the values that the reference shows).
    status: str | None = None
    #: ``CREATED``, ``DELETED`` (documented), ``UPDATED``, ``REJECTED`` (assumed).
    result: str | None = None
    message: str | None = None
    client_no: int | None = None
    account_no: int | None = None
    customer_no: str | None = None
    document_no: str | None = None
    #: Place in the batch, from 1 (assumed, Q2).
    record_no: int | None = None
    warnings: list[FieldMessage] | None = None
    #: Shaped like ``warnings`` (assumed, Q5).
    errors: list[FieldMessage] | None = None


class BatchReceipt(ArmModel):
    """The answer to a submitted batch (Q1). Without ``batch_uuid`` the batch cannot be followed."""

    status: str | None = None
    #: Case-sensitive: never normalise it.
    batch_uuid: str | None = None
    message: str | None = None
    client_no: int | None = None
