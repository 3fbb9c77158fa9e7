"""What the records of a submission add up to, by currency: exact, for a person to compare before anything is sent."""

from __future__ import annotations

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
    """The records of one currency.

    :param amounts: the sum of each amount by its wire name; of records that do not give it, nothing is added.
    """

    records: int = 0
    amounts: dict[str, Decimal] = field(default_factory=lambda: dict.fromkeys(wire_names(CurrencyAmounts), Decimal(0)))

    def as_json(self) -> dict[str, Any]:
        """Give it as small JSON values: amounts as text, which JSON and XCom carry exactly."""
        return {"records": self.records, **{name: f"{amount:f}" for name, amount in self.amounts.items()}}


class CurrencyTotalsAccumulator:
    """Adds records up as they pass. Records of a model without amounts add up to nothing."""

    def __init__(self, model: type[ArmModel] | None) -> None:
        #: By currency, in capitals; ``""`` where the record gives none.
        self.by_currency: dict[str, CurrencyTotal] = {}
        fields = model.model_fields if model is not None else {}
        self._counts = _AMOUNTS in fields and _CURRENCY in fields
        self._place = fields[_AMOUNTS].alias or _AMOUNTS if self._counts else ""

    def add(self, records: Iterable[WireRecord]) -> None:
        """Add records as they go on the wire.

        :raises ArmConfigurationError: a sum has more than 100 digits, so that it could not be exact.
        """
        for record in records if self._counts else ():
            currency, amounts = _get(record, _CURRENCY), _get(record, self._place)
            name = currency.upper() if currency else ""
            total = self.by_currency.get(name)
            if total is None:
                total = self.by_currency[name] = CurrencyTotal()
            total.records += 1
            if amounts is None:
                continue
            for each, so_far in total.amounts.items():
                amount = _get(amounts, each)
                if amount is not None:
                    total.amounts[each] = _add_exactly(so_far, amount)


def _add_exactly(total: Decimal, amount: Decimal) -> Decimal:
    try:
        return EXACT.add(total, amount)
    except Inexact:
        msg = "an amount has more digits than can be added exactly: no amount needs 100 digits"
        raise ArmConfigurationError(msg) from None


def _get(record: Any, name: str) -> Any:
    """Give a value of a record that is a struct or a mapping; ``None`` where it has none."""
    if type(record) is dict:
        return record.get(name)
    value = getattr(record, name)
    return None if value is UNSET else value
