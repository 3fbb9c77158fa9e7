"""Items of the general ledger. The reference documents their paths but not their fields: all fields are assumed."""

from __future__ import annotations

from airflow_provider_arm.client.models.base import Amount, ArmModel, Day, Timestamp


class GlItem(ArmModel):
    """One item of the general ledger. Its fields are named as in the AR item that it originates from (assumed)."""

    client_no: int | None = None
    #: Key of the item.
    gl_item_id: str
    gl_account_no: str | None = None
    ar_item_id: str | None = None
    customer_no: str | None = None
    document_no: str | None = None
    voucher_date: Day | None = None
    currency: str | None = None
    currency_amount: Amount | None = None
    #: Amount in the client's own currency.
    gl_amount: Amount | None = None
    voucher_type: int | None = None
    voucher_type_description: str | None = None
    voucher_no: int | None = None
    transaction_text: str | None = None
    gl_case_no: int | None = None
    gl_lot_no: int | None = None
    gl_year: int | None = None
    gl_period: int | None = None
    created_time: Timestamp | None = None
