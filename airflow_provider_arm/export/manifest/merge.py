"""Whether several exports add up to one, by their manifests: one list, asked for in one way, every day once. Pure.

The files themselves are read by :mod:`airflow_provider_arm.export.manifest.merged`.
"""

from __future__ import annotations

import datetime as dt
import decimal
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from airflow_provider_arm import __version__
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.export.fetch.date_window import Days
from airflow_provider_arm.export.manifest.manifest import own_totals_text, ranges_text, totals_text
from airflow_provider_arm.export.manifest.verify import PARTS, ArmExportMismatchError, kind_of
from airflow_provider_arm.export.pages.page_stats import Facts

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

#: What all parts must have in common, by the manifest's names: else their sum means nothing.
SAME = (
    "api",
    "list",
    "records",
    "format",
    "compression",
    "columns",
    "masked",
    "filters",
    "key",
    "currency_field",
)
_DAY = dt.timedelta(days=1)


class ArmMergeError(ArmExportMismatchError):
    """The parts of an export do not add up to one: a part is missing, doubled, changed, or of another kind."""


@dataclass(frozen=True, slots=True)
class PartFile:
    """One part: what its manifest says."""

    #: The file's address, as the merged manifest has it and a message calls it.
    address: str
    #: The manifest's path.
    path: Any
    said: Mapping[str, Any]
    days: Days


def read_part(address: str, path: Any, said: Mapping[str, Any]) -> PartFile:
    """Read a part's days off its manifest.

    :raises ArmMergeError: it was not made by a window of days, or its own windows leave a gap.
    """
    if PARTS in said:
        msg = f"{address} is merged itself: give its parts"
        raise ArmMergeError(msg)
    asked = sorted(((_days(address, window), "split_by" in window) for window in said["windows"]), key=_first)
    if not asked:
        msg = f"{address} was not made by a window of days"
        raise ArmMergeError(msg)
    for (before, _), (after, by_value) in pairwise(asked):
        if after.first != before.last + _DAY and not (by_value and after == before):
            msg = f"{address} was asked for in windows that do not meet, after {before}"
            raise ArmMergeError(msg)
    first, last = asked[0][0], asked[-1][0]
    return PartFile(address, path, said, Days(first.first, last.last, first.by))


def _first(asked: tuple[Days, bool]) -> dt.date:
    return asked[0].first


def _days(address: str, window: Mapping[str, Any]) -> Days:
    """Read ``voucherdate 2026-01-01 to 2026-01-31``, as :class:`Days` writes it."""
    try:
        by, first, _, last = str(window["window"]).split(" ")
        return Days(dt.date.fromisoformat(first), dt.date.fromisoformat(last), by)
    except ValueError:
        msg = f"{address} was not made by a window of days"
        raise ArmMergeError(msg) from None


def put_in_order(parts: Sequence[PartFile], window: Days | None = None) -> list[PartFile]:
    """Sort the parts by their days.

    :param window: what they must cover; default from the first day of any part to the last of any.
    :raises ArmMergeError: there is no part, or they differ, overlap, leave a gap, or do not cover *window*.
    """
    if not parts:
        msg = "there is no part to merge"
        raise ArmMergeError(msg)
    found = sorted(parts, key=lambda part: (part.days.first, part.days.last))
    for part in found[1:]:
        _check_same(found[0], part)
    for before, after in pairwise(found):
        _check_meet(before, after)
    whole = _whole(found)
    if window is not None and whole != window:
        msg = f"the parts cover {whole} and should cover {window}: one at an end is missing or too much"
        raise ArmMergeError(msg)
    return found


def _check_same(one: PartFile, other: PartFile) -> None:
    wrong = [name for name in SAME if one.said.get(name) != other.said.get(name)]
    wrong += ["the date that its window goes by"] if one.days.by != other.days.by else []
    if wrong:
        msg = f"{other.address} differs from {one.address} in {', '.join(wrong)}: parts must be of one export"
        raise ArmMergeError(msg)


def _check_meet(before: PartFile, after: PartFile) -> None:
    if after.days.first <= before.days.last:
        msg = f"{before.address} and {after.address} overlap: both hold {after.days.by} {after.days.first}"
        raise ArmMergeError(msg)
    if after.days.first > before.days.last + _DAY:
        missing = Days(before.days.last + _DAY, after.days.first - _DAY, after.days.by)
        msg = f"no part holds {missing}, between {before.address} and {after.address}"
        raise ArmMergeError(msg)


def _whole(parts: Sequence[PartFile]) -> Days:
    return Days(parts[0].days.first, parts[-1].days.last, parts[0].days.by)


def merged_manifest(name: str, parts: Sequence[PartFile]) -> dict[str, Any]:
    """Add the parts up.

    :param name: of the whole, as a file that held it all would be called.
    :param parts: in order.
    :raises ArmMergeError: a part's manifest lacks something, or says of its days what cannot be.
    """
    facts = Facts()
    for part in parts:
        _add(facts, part)
    said = [part.said for part in parts]
    return {
        "file": name,
        **{same: said[0].get(same) for same in SAME},
        "rows": facts.rows,
        **{count: sum(one[count] for one in said) for count in ("pages", "duplicates_removed", "begun_again", "bytes")},
        "totals": totals_text(facts.totals),
        "own_currency_totals": own_totals_text(facts.own_totals),
        "dates": ranges_text(facts),
        "window": str(_whole(parts)),
        "windows": [
            {"window": str(part.days), "pages": part.said["pages"], "rows": part.said["rows"]} for part in parts
        ],
        PARTS: [
            {"file": part.address, **{fact: part.said[fact] for fact in ("rows", "bytes", "sha256", "windows")}}
            for part in parts
        ],
        "package": f"airflow-provider-arm {__version__}",
        "started": min(one["started"] for one in said),
        "finished": max(one["finished"] for one in said),
    }


def _add(facts: Facts, part: PartFile) -> None:
    """Add a part's facts, by its manifest; amounts are exact."""
    said = part.said
    try:
        more = Facts(
            said["rows"],
            totals={currency: _amounts(totals) for currency, totals in said["totals"].items()},
            own_totals=_amounts(said["own_currency_totals"]),
            ranges={name: (day["first"], day["last"]) for name, day in said["dates"].items()},
        )
        part.days.check(kind_of(said), more)
        facts.add(more)
    except ArmConfigurationError:
        msg = f"{part.address} holds records from outside of {part.days}"
        raise ArmMergeError(msg) from None
    except (ValueError, TypeError, AttributeError, KeyError, decimal.DecimalException):
        msg = f"{part.address} cannot be added up: its manifest is not what an export writes"
        raise ArmMergeError(msg) from None


def _amounts(texts: Mapping[str, str]) -> dict[str, Decimal]:
    return {name: Decimal(text) for name, text in texts.items()}
