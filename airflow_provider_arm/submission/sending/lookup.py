"""Of a chunk whose answer was lost: what its records' natural keys tell. Pure, but for the looks that are passed in.

A document that stands in ARM as it was sent proves that its chunk was taken. One that does not stand there proves
nothing while its batch may be in work: only the author can say how long that may last (``assume_absent_after``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import ArmNotFoundError
from airflow_provider_arm.client.keys import fold

if TYPE_CHECKING:
    from airflow_provider_arm.client import ArmClient

#: By these a document in ARM is known as the one that was sent, where both have them. ARM may complete or rewrite
#: others (a KID, a due date by terms), and what it gives back for them is not documented.
IDENTIFYING = ("documentType", "currency")
DATE = "documentDate"
#: Without these two in common, equality proves nothing: who owes, and how much.
OWNER, AMOUNTS, AMOUNT = "customerNo", "currencyAmounts", "inclVat"


@dataclass(frozen=True, slots=True)
class LookupResult:
    """What ARM has of a chunk's records, by their places from 1."""

    #: Stands in ARM as it was sent.
    same: tuple[int, ...] = ()
    absent: tuple[int, ...] = ()
    #: Another record stands under its key.
    other: tuple[int, ...] = ()


class LookupDecision(StrEnum):
    """What a look decides."""

    #: ARM has the chunk; what is absent of it was refused.
    TAKEN = "taken"
    #: ARM does not have it and will not: it may be sent.
    NOT_TAKEN = "not taken"
    #: It may still be in work, in whole or in part.
    UNDECIDED = "undecided"
    #: Something else stands under its keys, or what stood there is gone: a person has to compare.
    CONFLICT = "conflict"


def decide(seen: LookupResult, *, settled: bool, was_there: bool = False) -> LookupDecision:
    """Decide.

    :param settled: an earlier look has missed records too, and the author's time for ARM to work has passed since.
    :param was_there: an earlier look has found some of them. That ARM has taken the chunk stays true when they vanish.
    """
    if seen.other or (was_there and not seen.same):
        return LookupDecision.CONFLICT
    if seen.same and (settled or not seen.absent):
        return LookupDecision.TAKEN
    return LookupDecision.NOT_TAKEN if settled else LookupDecision.UNDECIDED


def look_up(
    records: Sequence[Mapping[str, Any]], key: str, find: Callable[[str], Mapping[str, Any] | None]
) -> LookupResult:
    """Look for each record.

    :param key: wire name of the natural key.
    :param find: gives ARM's record of a key, or ``None``; what it raises is passed on.
    """
    places: dict[bool | None, list[int]] = {True: [], False: [], None: []}
    for place, record in enumerate(records, 1):
        found = find(str(record[key]))
        places[None if found is None else is_same_document(record, found)].append(place)
    return LookupResult(tuple(places[True]), tuple(places[None]), tuple(places[False]))


def document_finder(client: ArmClient) -> Callable[[str], Mapping[str, Any] | None]:
    """Make the *find* of :func:`look_up` for documents (``GET /clients/{clientno}/documents/{documentno}``)."""

    def find(document_no: str) -> Mapping[str, Any] | None:
        try:
            return client.get_document(document_no).to_wire()
        except ArmNotFoundError:
            return None

    return find


def is_same_document(sent: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Whether the document that ARM has is the one that was sent."""
    amounts = [_amount(each.get(AMOUNTS)) for each in (sent, found)]
    if amounts[0] != amounts[1] or amounts[0] is None:
        return False
    if not sent.get(OWNER) or _plain(sent[OWNER]) != _plain(found.get(OWNER)):
        return False
    pairs = [(_plain(sent.get(name)), _plain(found.get(name))) for name in IDENTIFYING]
    pairs.append((_day(sent.get(DATE)), _day(found.get(DATE))))
    return all(one == other for one, other in pairs if one is not None and other is not None)


def _amount(amounts: Any) -> Decimal | None:
    value = amounts.get(AMOUNT) if isinstance(amounts, Mapping) else None
    try:
        return None if value is None else Decimal(str(value))
    except InvalidOperation:
        return None


def _plain(value: Any) -> str | None:
    return None if value is None else fold(str(value))


def _day(value: Any) -> str | None:
    # A time after a date is midnight.
    text = value.isoformat() if isinstance(value, date) else value
    return None if text is None else str(text).partition("T")[0]
