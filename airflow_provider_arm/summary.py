"""The line with which a task ends, for people: what was done, in counts, and the outcome. Imports nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

SUCCESS, FAILED, SKIPPED = "success", "failed", "skipped"
#: Numbers from here on are written with separators: 12,345 is read faster than 12345, and 1200 needs none.
_SEPARATED_FROM = 10_000
#: Smallest share, in percent, that is written as a number.
_SMALLEST_PERCENT = 0.1


def summary_line(subject: str, outcome: str, *details: str | None) -> str:
    """Return the line of a task's outcome, such as "1200 customers in 3 batches: success; source: x.csv".

    :param subject: what was done, in counts.
    :param outcome: ``SUCCESS``, ``FAILED`` or ``SKIPPED``, possibly with the reason.
    :param details: further facts; those that are ``None`` or empty are omitted.
    """
    return "; ".join([f"{subject}: {outcome}", *filter(None, details)])


def count_text(number: int | None, noun: str) -> str:
    """Return a number with its noun, such as "1 customer", "12,345 AR items" or "an unknown number of records".

    :param noun: in the singular.
    """
    of = " of" if number is None else ""
    return f"{number_text(number)}{of} {noun if number == 1 else plural(noun)}"


def write_line(name: str, key: object, result: Mapping[str, Any]) -> str:
    """Return the line of a task that has written one record, such as "Customer 543210: success; CREATED; 1 warning".

    :param key: natural key of the record.
    :param result: of the task.
    """
    state = result.get("result") or result.get("status")
    subject = f"{name[:1].upper()}{name[1:]} {key}"
    return summary_line(subject, SUCCESS, state, describe_warnings(result.get("warnings") or ()))


def export_line(noun: str, result: Mapping[str, Any], files: int, address: str) -> str:
    """Return the line of a task that has exported a list, such as "12,345 AR items in 3 files: success; ...".

    :param noun: a record, in the singular.
    :param result: of the task; its totals are shown by currency.
    :param address: of the file, or of the manifest that names the files.
    """
    totals = [
        f"{currency} {', '.join(f'{field} {amount}' for field, amount in amounts.items())}".strip()
        for currency, amounts in sorted((result.get("totals") or {}).items())
    ]
    subject = f"{count_text(result['rows'], noun)} in {count_text(files, 'file')}"
    return summary_line(subject, SUCCESS, address, *totals)


def describe_warnings(warnings: Sequence[object]) -> str:
    """Return the number of warnings about a single record; empty if there is none."""
    return count_text(len(warnings), "warning") if warnings else ""


def number_text(number: int | None) -> str:
    """Return a number as text; ``None`` as "an unknown number"."""
    if number is None:
        return "an unknown number"
    return f"{number:,}" if abs(number) >= _SEPARATED_FROM else str(number)


def plural(noun: str) -> str:
    """Return the plural of a noun."""
    return f"{noun}es" if noun.endswith("ch") else f"{noun}s"


def percent_text(part: int, total: int) -> str:
    """Return a share such as "0.6 %"; a share that is not 0 is never written as 0."""
    percent = 100 * part / total
    if 0 < percent < _SMALLEST_PERCENT:
        return f"<{_SMALLEST_PERCENT} %"
    return f"{percent:.1f}".removesuffix(".0") + " %"
