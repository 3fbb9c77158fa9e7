"""Documents: invoices and credit notes."""

from __future__ import annotations

from pydantic import Field

from airflow_provider_arm.client.models.base import Amount, ArmModel, Day
from airflow_provider_arm.client.models.common import CurrencyAmounts, Distribution


class EinvoiceAddress(ArmModel):
    """Address to which an electronic invoice is sent."""

    address: str | None = None
    address_scheme: str | None = None
    operator: str | None = None


class DocumentLine(ArmModel):
    """One line of a document."""

    line_no: int | None = None
    line_type: str | None = None
    article_no: str | None = None
    article_name: str | None = None
    line_text: str | None = None
    quantity_unit: str | None = None
    quantity: Amount | None = None
    volume_unit: str | None = None
    volume: Amount | None = None
    price: Amount | None = None
    item_group1: str | None = None
    item_group2: str | None = None
    item_group3: str | None = None
    currency_amounts: CurrencyAmounts | None = None


class Document(ArmModel):
    """A document to create, or one that ARM returns."""

    document_type: str | None = None
    customer_no: str = Field(min_length=1)
    #: Chosen by the caller: the natural key for a lookup after a lost response.
    document_no: str = Field(min_length=1)
    document_date: Day | None = None
    due_date: Day | None = None
    currency: str | None = None
    language: str | None = None
    kid: str | None = None
    marketing_message_code: str | None = None
    customer_message: str | None = None
    sales_order_id: str | None = None
    purchase_order_id: str | None = None
    seller_reference: str | None = None
    buyer_reference: str | None = None
    additional_reference: str | None = None
    sub_customer_no: str | None = None
    ledger_note: str | None = None
    currency_amounts: CurrencyAmounts | None = None
    distribution: Distribution | None = None
    einvoice_address: EinvoiceAddress | None = None
    email_address: list[str] | None = None
    #: The structure of the members of these three lists is not published: they are kept unchanged.
    attachment_files: list[object] | None = None
    attachment_codes: list[object] | None = None
    custom_codes: list[object] | None = None
    document_lines: list[DocumentLine] | None = None
