"""Customers of a ledger."""

from __future__ import annotations

from typing import Any, Self

from pydantic import Field, model_validator

from airflow_provider_arm.client.models.base import Amount, ArmModel, Day
from airflow_provider_arm.client.models.common import Distribution


class PostalAddress(ArmModel):
    """A postal address. ARM treats it as one group: a write with any of its fields replaces all of them."""

    address_line1: str | None = None
    address_line2: str | None = None
    address_line3: str | None = None
    postal_code: str | None = None
    city_name: str | None = None
    country_text: str | None = None
    country_code: str | None = None


class _CustomerFields(ArmModel):
    """Fields that can be both read and written."""

    #: Number of the customer, chosen by the caller: the natural key of an upsert.
    customer_no: str = Field(min_length=1)
    name: str | None = None
    customer_category: str | None = None
    phone_no: str | None = None
    secondary_phone_no: str | None = None
    organization_no: str | None = None
    date_of_birth: Day | None = None
    year_of_birth: int | None = None
    #: National identity number. Personal data.
    ssn: str | None = None
    ssn_country: str | None = None
    informal_name: str | None = None
    customer_group_code: str | None = None
    price_net_or_gross: str | None = None
    language: str | None = None
    currency: str | None = None
    seller_reference: str | None = None
    buyer_reference: str | None = None
    bank_account_no: str | None = None
    stop_reminder_until: Day | None = None
    stop_debt_collection_until: Day | None = None
    stop_interest_calc_until: Day | None = None
    due_days: int | None = None
    vat_liable: bool | None = None
    #: Percent.
    discount_rate: Amount | None = None
    active_status_web: str | None = None
    customer_message: str | None = None
    limit_amount: Amount | None = None
    postal_address: PostalAddress | None = None
    email_address_document: list[str] | None = None
    secondary_email_address: list[str] | None = None
    distribution: Distribution | None = None
    efaktura_block_ids: list[str] | None = None
    peppol_block_ids: list[str] | None = None
    digipost_block_ids: list[str] | None = None


class Customer(_CustomerFields):
    """A customer as ARM returns it."""

    client_no: int | None = None
    account_no: int | None = None
    postal_return_status: int | None = None
    postal_return_date: Day | None = None
    organization_no_scheme: str | None = None
    using_language: str | None = None
    registration_status_code: str | None = None
    registration_status_date: Day | None = None
    postal_address_changed: Day | None = None


#: Fields that ARM only returns (documented): a write that contains one is a mistake.
READ_ONLY_FIELDS = tuple(name for name in Customer.model_fields if name not in _CustomerFields.model_fields)


class CustomerWrite(_CustomerFields):
    """A customer to create or update (upsert by ``customer_no``).

    A key that is missing or null keeps the value at ARM. The postal address is the exception: a partial one would clear
    its other fields, so it is invalid unless all seven fields are set (``""`` clears a field on purpose).
    """

    stop_reminder_memo: str | None = None
    stop_debt_collection_memo: str | None = None
    stop_interest_calc_memo: str | None = None
    #: ``NoUpdatePostalReturn`` is the only value in the reference.
    options: list[str] | None = None

    @model_validator(mode="before")
    @classmethod
    def _reject_read_only_fields(cls, data: Any) -> Any:
        if isinstance(data, dict):
            names = {name: Customer.model_fields[name].alias or name for name in READ_ONLY_FIELDS}
            given = sorted(alias for name, alias in names.items() if name in data or alias in data)
            if given:
                raise ValueError(
                    f"{', '.join(given)} is read-only in ARM: leave it out of a write (an export with "
                    "columns='submittable' does)"
                )
        return data

    @model_validator(mode="after")
    def _reject_partial_address(self) -> Self:
        address = self.postal_address
        if address is not None:
            missing = [
                field.alias or name
                for name, field in PostalAddress.model_fields.items()
                if getattr(address, name) is None
            ]
            if missing:
                raise ValueError(
                    f"postalAddress is incomplete: ARM would clear {', '.join(missing)}; "
                    'set all fields of the address ("" clears one on purpose) or leave the address out'
                )
        return self
