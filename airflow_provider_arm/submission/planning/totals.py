"""Exact totals of a submission by currency, to be compared before anything is sent."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from decimal import Decimal, Inexact
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.client.models import CurrencyAmounts, wire_names
from airflow_provider_arm.client.money import EXACT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from airflow_provider_arm.client.models import ArmModel
    from airflow_provider_arm.submission.planning.validate import WireRecord

_AMOUNTS, _CURRENCY = "currency_amounts", "currency"


@dataclass(slots=True)
class CurrencyTotal:
    """Number of records and totals of one currency.

    :param amounts: total of each amount by its wire name. Records without the amount are not added.
    """

    records: int = 0
    amounts: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(wire_names(CurrencyAmounts), Decimal(0)))

    def as_json(self) -> dict[str, Any]:
        """Return small JSON values: amounts as text, which JSON and XCom keep exactly."""
        return {"records": self.records, **{name: f"{amount:f}" for name, amount in self.amounts.items()}}


class CurrencyTotalsAccumulator:
    """Totals by currency of the records added so far; always empty for a model without amounts."""

    def __init__(self, model: type[ArmModel] | None) -> None:
        #: By currency in capitals; ``""`` for records without a currency.
        self.by_currency: dict[str, CurrencyTotal] = defaultdict(CurrencyTotal)
        fields = model.model_fields if model is not None else {}
        has_amounts = _AMOUNTS in fields and _CURRENCY in fields
        self._amounts_name = fields[_AMOUNTS].alias or _AMOUNTS if has_amounts else None

    def add(self, records: Iterable[WireRecord]) -> None:
        """Add validated records.

        :raises ArmConfigurationError: a total has more than 100 digits, so it would not be exact.
        """
        if self._amounts_name is None:
            return
        try:
            for record in records:
                currency, amounts = _get(record, _CURRENCY), _get(record, self._amounts_name)
                total = self.by_currency[currency.upper() if currency else ""]
                total.records += 1
                for name, so_far in total.amounts.items() if amounts is not None else ():
                    if (amount := _get(amounts, name)) is not None:
                        total.amounts[name] = EXACT.add(so_far, amount)
        except Inexact:
            raise ArmConfigurationError("an amount has more digits than can be added exactly (100)") from None


def _get(record: Any, name: str) -> Any:
    """Return a value of a struct or a dict; ``None`` if it is not set, or the struct does not have it."""
    if type(record) is dict:
        return record.get(name)
    value = getattr(record, name, UNSET)
    return None if value is UNSET else value
