"""Items of the accounts-receivable ledger."""

from __future__ import annotations

from pydantic import Field

from airflow_provider_arm.client.models.base import Amount, ArmModel, Day, Timestamp


class ArItem(ArmModel):
    """One item of the accounts-receivable ledger: an invoice, a credit note, a payment."""

    client_no: int | None = None
    account_no: int | None = None
    reference_no: int | None = None
    reference_sequence_no: int | None = None
    #: Key of the item, such as ``2218-500002-35078-0``.
    ar_item_id: str
    customer_no: str | None = None
    document_no: str | None = None
    voucher_date: Day | None = None
    due_date: Day | None = None
    original_due_date: Day | None = None
    #: ISO 4217 code of ``currency_amount`` and ``currency_balance``.
    currency: str | None = None
    currency_amount: Amount | None = None
    #: Open amount in ``currency``.
    currency_balance: Amount | None = None
    #: Amount and open amount in the client's own currency.
    gl_amount: Amount | None = None
    gl_balance: Amount | None = None
    #: Norwegian payment reference number.
    kid: str | None = None
    voucher_type: int | None = None
    voucher_type_description: str | None = None
    voucher_no: int | None = None
    transaction_text: str | None = None
    gl_case_no: int | None = None
    gl_lot_no: int | None = None
    gl_year: int | None = None
    gl_period: int | None = None
    external_id1: str | None = None
    ledger_period_report_no: int | None = None
    reserved_status: str | None = None
    created_time: Timestamp | None = None


class ArItemUpdate(ArmModel):
    """Changes of one AR item. The fields that ARM accepts are not published, so all of them are sent unchanged."""

    #: The path does not name the item. The key in the body is an entry of the profile (``write.ar_item_id_key``).
    ar_item_id: str = Field(min_length=1)
