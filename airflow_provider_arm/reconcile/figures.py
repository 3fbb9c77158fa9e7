"""Figures to compare an export with: from the DAG, or from a small .csv or .json file."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client import money
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.reconcile.amount import parse_amount
from airflow_provider_arm.reconcile.fields import parse_currency
from airflow_provider_arm.reconcile.sums import AmountTotal, ComparisonSide, PeriodCurrency

if TYPE_CHECKING:
    from decimal import Decimal

    from airflow_provider_arm.reconcile.period import Period

#: Name of a side of figures in the report.
FIGURES_NAME = "given figures"
#: Header of a .csv file, and keys of each object in a .json file.
COLUMNS = ("period", "currency", "amount")
#: Bytes. A hundred years of months in fifty currencies need a tenth of it, so a larger file contains something else.
MAX_FILE_SIZE = 2**22
#: An amount as Norwegian spreadsheets write it.
_DECIMAL_COMMA = re.compile(r"-?\d+(,\d+)?", re.ASCII)

#: Place for messages, then period, currency and amount as they were written.
_Figure = tuple[str, Any, Any, Any]


def read_figures(figures: Mapping[str, Any], period: Period) -> ComparisonSide:
    """Read figures such as ``{"2026-10": {"NOK": "124.37"}}``. Amounts are text, whole numbers or ``Decimal``.

    :raises ArmConfigurationError: a figure is invalid; the message names its place.
    """
    return _build_side(_parse_mapping(figures, "against"), period, ({"records": FIGURES_NAME},))


def read_figure_file(path: Any, period: Period) -> ComparisonSide:
    """Read a file of figures.

    ``.csv``: UTF-8 with the header period, currency and amount. If semicolons separate the columns, an amount may have
    a decimal comma. ``.json``: the mapping of :func:`read_figures`, or a list of objects with these three keys.

    :param path: a ``pathlib.Path`` or anything like ``ObjectStoragePath``.
    :raises ArmConfigurationError: a figure is invalid; the message names file and row.
    :raises OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        content = file.read(MAX_FILE_SIZE + 1)
    if len(content) > MAX_FILE_SIZE:
        msg = f"{path.name} is too large for a file of figures: at most {MAX_FILE_SIZE // 2**20} MB"
        raise ArmConfigurationError(msg)
    try:
        text = content.decode("utf-8-sig")
    except ValueError:
        raise ArmConfigurationError(f"{path.name} is not UTF-8: save it with that encoding") from None
    figures = _parse_csv(text, path.name) if path.name.lower().endswith(".csv") else _parse_json(text, path.name)
    return _build_side(figures, period, ({"records": FIGURES_NAME, "file": path.name},))


def _build_side(figures: Iterable[_Figure], period: Period, files: tuple[dict[str, Any], ...]) -> ComparisonSide:
    amounts: dict[PeriodCurrency, AmountTotal] = {}
    for place, label, currency, amount in figures:
        key = period.check_label(label, place), _require_currency(currency, place)
        if key in amounts:
            raise ArmConfigurationError(f"{place}: duplicate figure for {key[0]} {key[1]}")
        amounts[key] = AmountTotal(_require_amount(amount, place), None)
    if not amounts:
        raise ArmConfigurationError("against has no figures")
    return ComparisonSide(FIGURES_NAME, amounts, files)


def _require_currency(value: Any, place: str) -> str:
    try:
        if code := parse_currency(value):
            return code
    except ValueError:
        pass
    raise ArmConfigurationError(f"{place}: the currency must be a three-letter code such as NOK")


def _require_amount(value: Any, place: str) -> Decimal:
    try:
        return parse_amount(value.strip() if isinstance(value, str) else value)
    except ValueError as error:
        raise ArmConfigurationError(f"{place}: the amount {error}") from None


def _parse_mapping(figures: Mapping[str, Any], place: str) -> Iterator[_Figure]:
    for label, currencies in figures.items():
        if not isinstance(currencies, Mapping):
            msg = f'{place}: figures must be written as {{"2026-10": {{"NOK": "124.37"}}}}, by period and currency'
            raise ArmConfigurationError(msg)
        for currency, amount in currencies.items():
            yield f"{place}, {label} {currency}", label, currency, amount


def _parse_json(text: str, file: str) -> Iterator[_Figure]:
    try:
        content = money.decode(text)
    except ValueError:
        content = None
    if isinstance(content, dict):
        yield from _parse_mapping(content, file)
        return
    items = content if isinstance(content, list) else [None]
    if not all(isinstance(item, dict) and set(item) == set(COLUMNS) for item in items):
        msg = f"{file} must be JSON: figures by period and currency, or a list of objects with {', '.join(COLUMNS)}"
        raise ArmConfigurationError(msg)
    for number, item in enumerate(items, start=1):
        yield f"{file}, item {number}", *(item[name] for name in COLUMNS)


def _parse_csv(text: str, file: str) -> Iterator[_Figure]:
    header = text.partition("\n")[0]
    has_semicolons = ";" in header
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=";" if has_semicolons else ",", strict=True)
    try:
        names = [name.strip().lower() for name in next(rows, [])]
        if sorted(names) != sorted(COLUMNS):
            raise ArmConfigurationError(f"{file} must begin with a header of {', '.join(COLUMNS)}")
        for cells in rows:
            if not any(map(str.strip, cells)):
                continue
            place = f"{file}, line {rows.line_num}"
            if len(cells) != len(names):
                raise ArmConfigurationError(f"{place} has {len(cells)} cells, not {len(names)}")
            label, currency, amount = (cells[names.index(name)].strip() for name in COLUMNS)
            if has_semicolons and _DECIMAL_COMMA.fullmatch(amount):
                amount = amount.replace(",", ".")
            yield place, label, currency, amount
    except csv.Error:
        raise ArmConfigurationError(f"{file}, line {rows.line_num} cannot be read as CSV") from None
