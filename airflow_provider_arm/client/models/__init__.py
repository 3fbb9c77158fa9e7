"""ARM's objects as pydantic models: the only place in the package that defines the fields of ARM."""

from __future__ import annotations

from airflow_provider_arm.client.models.ar_item import ArItem, ArItemUpdate
from airflow_provider_arm.client.models.base import Amount, ArmModel, Day, Timestamp, field_errors, wire_names
from airflow_provider_arm.client.models.batch import Batch
from airflow_provider_arm.client.models.common import CurrencyAmounts, Distribution
from airflow_provider_arm.client.models.customer import Customer, CustomerWrite, PostalAddress
from airflow_provider_arm.client.models.document import Document, DocumentLine, EinvoiceAddress
from airflow_provider_arm.client.models.gl_item import GlItem
from airflow_provider_arm.client.models.page import PageSummary
from airflow_provider_arm.client.models.posting import (
    AutoPosting,
    AutoPostingResponse,
    AutoPostingsResponse,
    PaymentReservation,
)
from airflow_provider_arm.client.models.token import Token
from airflow_provider_arm.client.models.write import BatchReceipt, FieldMessage, WriteResponse

__all__ = [
    "Amount",
    "ArItem",
    "ArItemUpdate",
    "ArmModel",
    "AutoPosting",
    "AutoPostingResponse",
    "AutoPostingsResponse",
    "Batch",
    "BatchReceipt",
    "CurrencyAmounts",
    "Customer",
    "CustomerWrite",
    "Day",
    "Distribution",
    "Document",
    "DocumentLine",
    "EinvoiceAddress",
    "FieldMessage",
    "GlItem",
    "PageSummary",
    "PaymentReservation",
    "PostalAddress",
    "Timestamp",
    "Token",
    "WriteResponse",
    "field_errors",
    "wire_names",
]
