"""Lookup of a chunk whose response was lost: what the records with its natural keys in ARM prove about it.

A document that ARM has as it was sent proves that ARM accepted its chunk. A document that ARM does not have proves
nothing while its batch may still be processing: only the DAG author can set how long that may take
(``assume_absent_after``). The decision itself does no I/O; the lookups are passed in.
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

#: Fields that must be equal, where both documents have them, for a document in ARM to be the one that was sent. ARM may
#: complete or rewrite others (a KID, a due date by terms), and what it returns for them is not documented.
COMPARED_FIELDS = ("documentType", "currency")
DATE_FIELD = "documentDate"
#: Fields that both documents must have, with equal values: who owes, and how much. Without them nothing is proved.
CUSTOMER_FIELD, AMOUNTS_FIELD, TOTAL_FIELD = "customerNo", "currencyAmounts", "inclVat"


@dataclass(frozen=True, slots=True)
class LookupResult:
    """What ARM has of a chunk's records, by their positions from 1."""

    #: ARM has it as it was sent.
    matching: tuple[int, ...] = ()
    absent: tuple[int, ...] = ()
    #: ARM has another record under its key.
    conflicting: tuple[int, ...] = ()


class LookupDecision(StrEnum):
    """What a lookup proves about a chunk."""

    #: ARM has accepted the chunk; records that are absent were refused.
    ACCEPTED = "accepted"
    #: ARM has not accepted it and will not: it may be sent.
    ABSENT = "absent"
    #: ARM may still be processing all or part of it.
    UNDECIDED = "undecided"
    #: ARM has other records under its keys, or its records have disappeared: it needs a manual comparison.
    CONFLICT = "conflict"


def decide(result: LookupResult, *, assume_absent: bool, found_before: bool = False) -> LookupDecision:
    """Decide what a lookup proves about a chunk.

    :param assume_absent: an earlier lookup did not find all records either, and *assume_absent_after* has passed since.
    :param found_before: an earlier lookup found some of them: ARM has accepted the chunk, even if they are gone now.
    """
    if result.conflicting or (found_before and not result.matching):
        return LookupDecision.CONFLICT
    if result.matching and (assume_absent or not result.absent):
        return LookupDecision.ACCEPTED
    return LookupDecision.ABSENT if assume_absent else LookupDecision.UNDECIDED


def look_up(
    records: Sequence[Mapping[str, Any]], key: str, find: Callable[[str], Mapping[str, Any] | None]
) -> LookupResult:
    """Search ARM for each record.

    :param key: wire name of the natural key.
    :param find: returns ARM's record of a key, or ``None``. Its exceptions are not caught.
    """
    positions: dict[bool | None, list[int]] = {True: [], False: [], None: []}
    for position, record in enumerate(records, 1):
        found = find(str(record[key]))
        positions[None if found is None else is_same_document(record, found)].append(position)
    return LookupResult(tuple(positions[True]), tuple(positions[None]), tuple(positions[False]))


def document_finder(client: ArmClient) -> Callable[[str], Mapping[str, Any] | None]:
    """Build the *find* of :func:`look_up` for documents (``GET /clients/{clientno}/documents/{documentno}``)."""

    def find(document_no: str) -> Mapping[str, Any] | None:
        try:
            return client.get_document(document_no).to_wire()
        except ArmNotFoundError as error:
            if not error.proves_absence:
                raise
            return None

    return find


def is_same_document(sent: Mapping[str, Any], found: Mapping[str, Any]) -> bool:
    """Return whether the document that ARM has is the one that was sent."""
    totals = [_total(document.get(AMOUNTS_FIELD)) for document in (sent, found)]
    if totals[0] != totals[1] or totals[0] is None:
        return False
    if not sent.get(CUSTOMER_FIELD) or _folded(sent[CUSTOMER_FIELD]) != _folded(found.get(CUSTOMER_FIELD)):
        return False
    pairs = [(_folded(sent.get(name)), _folded(found.get(name))) for name in COMPARED_FIELDS]
    pairs.append((_date_part(sent.get(DATE_FIELD)), _date_part(found.get(DATE_FIELD))))
    return all(ours == theirs for ours, theirs in pairs if ours is not None and theirs is not None)


def _total(amounts: Any) -> Decimal | None:
    value = amounts.get(TOTAL_FIELD) if isinstance(amounts, Mapping) else None
    try:
        return None if value is None else Decimal(str(value))
    except InvalidOperation:
        return None


def _folded(value: Any) -> str | None:
    return None if value is None else fold(str(value))


def _date_part(value: Any) -> str | None:
    # ARM may add the time midnight to a date.
    text = value.isoformat() if isinstance(value, date) else value
    return None if text is None else str(text).partition("T")[0]
