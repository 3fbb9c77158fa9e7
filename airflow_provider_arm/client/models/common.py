"""Models that are part of several ARM objects."""

from __future__ import annotations

from airflow_provider_arm.client.models.base import Amount, ArmModel


class Distribution(ArmModel):
    """How documents are sent to the customer."""

    type: str | None = None
    einvoice_code: int | None = None


class CurrencyAmounts(ArmModel):
    """Amounts in the document's currency."""

    excl_vat: Amount | None = None
    vat: Amount | None = None
    incl_vat: Amount | None = None
