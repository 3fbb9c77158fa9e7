"""What is checked of every record on its way into a file: its key is new, its amounts are numbers; and the totals."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Context, Decimal, Inexact
from typing import TYPE_CHECKING, Any

import msgspec

from airflow_provider_arm.client import money
from airflow_provider_arm.client.errors import ArmIncompleteListError, ArmUnreadableAnswerError
from airflow_provider_arm.client.models import ArItem, ArmModel, wire_names

if TYPE_CHECKING:
    from collections.abc import Iterable


#: Adds without rounding, or raises; the usual context rounds to 28 digits without a word.
_EXACT = Context(prec=100, traps=[Inexact])


@dataclass(frozen=True, slots=True)
class RecordKind:
    """How records of one list are checked and added up. Names are the wire's."""

    name: str
    model: type[ArmModel]
    key: str
    #: Field that holds the currency, and the amounts that are in it.
    currency: str
    amounts: tuple[str, ...]

    def checker(self) -> msgspec.json.Decoder[Any]:
        """Make a decoder that reads only key, currency and amounts, the numbers exactly."""
        fields: list[tuple[str, Any, Any]] = [
            ("key", str, msgspec.field(name=self.key)),
            ("currency", str | None, msgspec.field(name=self.currency, default=None)),
        ]
        fields += [
            # Not Decimal: that would take text too, and "NaN" with it.
            (f"amount{number}", Any, msgspec.field(name=name, default=None))
            for number, name in enumerate(self.amounts)
        ]
        return msgspec.json.Decoder(msgspec.defstruct("Checked", fields), float_hook=money.exact)


def _ar_item() -> RecordKind:
    fields = ArItem.model_fields
    key, currency, amount, balance = (
        fields[name].alias or name for name in ("ar_item_id", "currency", "currency_amount", "currency_balance")
    )
    return RecordKind("AR items", ArItem, key, currency, (amount, balance))


#: ``glAmount`` and ``glBalance`` are in the client's own currency and so in no total per currency.
AR_ITEMS = _ar_item()


def columns_of(kind: RecordKind, columns: Iterable[str] | None) -> tuple[str, ...]:
    """Choose columns; ``None`` for all that the model knows."""
    known = wire_names(kind.model)
    return known if columns is None else tuple(columns)


@dataclass(slots=True)
class Tally:
    """Counts and exact totals of an export; grows with the number of keys only."""

    kind: RecordKind
    rows: int = 0
    #: By currency, by amount field.
    totals: dict[str, dict[str, Decimal]] = field(default_factory=dict)
    _seen: set[str] = field(default_factory=set)
    _checker: Any = None

    def __post_init__(self) -> None:
        """Make the decoder once."""
        self._checker = self.kind.checker()

    def take(self, text: bytes) -> None:
        """Check one record and add it.

        :raises ArmIncompleteListError: its key came before: rows have shifted between pages, so others are missing.
        :raises ArmUnreadableAnswerError: it has no key, or an amount is no number.
        """
        try:
            record = self._checker.decode(text)
        except ValueError:
            raise self._unreadable() from None
        if record.key in self._seen:
            msg = f"{self.kind.key} {record.key} came twice: the list changed while it was read; start again"
            raise ArmIncompleteListError(msg)
        totals = self.totals.setdefault(record.currency or "", dict.fromkeys(self.kind.amounts, Decimal(0)))
        for number, name in enumerate(self.kind.amounts):
            amount = getattr(record, f"amount{number}")
            if amount is None:
                continue
            if isinstance(amount, bool) or not isinstance(amount, int | Decimal):
                raise self._unreadable()
            try:
                totals[name] = _EXACT.add(totals[name], amount)
            except Inexact:
                raise self._unreadable() from None

        self._seen.add(record.key)
        self.rows += 1

    def _unreadable(self) -> ArmUnreadableAnswerError:
        return ArmUnreadableAnswerError(
            f"record {self.rows + 1} of the {self.kind.name} has no {self.kind.key}, or an amount that is no number: "
            "the export would not be exact"
        )

    def totals_text(self) -> dict[str, dict[str, str]]:
        """Give the totals as text, which JSON and XCom carry exactly."""
        return {
            currency: {name: str(amount) for name, amount in amounts.items()}
            for currency, amounts in sorted(self.totals.items())
        }
