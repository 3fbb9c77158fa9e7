"""Figures that somebody gives: in the DAG, or in a small .csv or .json file."""

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

FIGURES_NAME = "figures given"
#: What a file of figures has in each row, as header of a .csv or keys in a .json.
COLUMNS = ("period", "currency", "amount")
#: A hundred years of months in fifty currencies are a tenth of it: a larger file is something else.
MAX_FILE_SIZE = 2**22
#: An amount as Norwegian spreadsheets write it.
_DECIMAL_COMMA = re.compile(r"-?\d+(,\d+)?", re.ASCII)

#: Where a figure stands, in words; period, currency and amount as they were written.
_Figure = tuple[str, Any, Any, Any]


def read_figures(figures: Mapping[str, Any], period: Period) -> ComparisonSide:
    """Read ``{"2026-10": {"NOK": "124.37"}}``: amounts are text, whole numbers or ``Decimal``.

    :raises ArmConfigurationError: something is not written so; the message names the place.
    """
    return _build_side(_parse_mapping(figures, "against"), period, ({"records": FIGURES_NAME},))


def read_figure_file(path: Any, period: Period) -> ComparisonSide:
    """Read a file of figures.

    ``.csv``: a header with period, currency and amount; UTF-8. Where semicolons stand between the columns an amount may
    have a decimal comma. ``.json``: the mapping of :func:`read_figures`, or a list of objects with those three keys.

    :param path: a ``pathlib.Path`` or anything like ``ObjectStoragePath``.
    :raises ArmConfigurationError: something is not written so; the message names file and row.
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
        msg = f"{path.name} is not UTF-8: save it as such"
        raise ArmConfigurationError(msg) from None
    found = _parse_csv(text, path.name) if path.name.lower().endswith(".csv") else _parse_json(text, path.name)
    return _build_side(found, period, ({"records": FIGURES_NAME, "file": path.name},))


def _build_side(found: Iterable[_Figure], period: Period, files: tuple[dict[str, Any], ...]) -> ComparisonSide:
    sums: dict[PeriodCurrency, AmountTotal] = {}
    for where, name, currency, amount in found:
        key = period.parse_label(name, where), _parse_currency(currency, where)
        if key in sums:
            msg = f"{where}: {key[0]} {key[1]} stands there twice"
            raise ArmConfigurationError(msg)
        sums[key] = AmountTotal(_parse_amount(amount, where), None)
    if not sums:
        msg = "against has no figures"
        raise ArmConfigurationError(msg)
    return ComparisonSide(FIGURES_NAME, sums, files)


def _parse_currency(value: Any, where: str) -> str:
    try:
        if code := parse_currency(value):
            return code
    except ValueError:
        pass
    msg = f"{where}: a currency must be a code of three letters such as NOK"
    raise ArmConfigurationError(msg)


def _parse_amount(value: Any, where: str) -> Decimal:
    try:
        return parse_amount(value.strip() if isinstance(value, str) else value)
    except ValueError as error:
        msg = f"{where}: the amount {error}"
        raise ArmConfigurationError(msg) from None


def _parse_mapping(figures: Mapping[str, Any], where: str) -> Iterator[_Figure]:
    for name, currencies in figures.items():
        if not isinstance(currencies, Mapping):
            msg = f'{where}: figures must be written as {{"2026-10": {{"NOK": "124.37"}}}}, by period and currency'
            raise ArmConfigurationError(msg)
        for currency, amount in currencies.items():
            yield f"{where}, {name} {currency}", name, currency, amount


def _parse_json(text: str, file: str) -> Iterator[_Figure]:
    try:
        found = money.decode(text)
    except ValueError:
        found = None
    if isinstance(found, dict):
        yield from _parse_mapping(found, file)
        return
    if not isinstance(found, list) or not all(isinstance(one, dict) and set(one) == set(COLUMNS) for one in found):
        msg = f"{file} must be JSON: figures by period and currency, or a list of objects with {', '.join(COLUMNS)}"
        raise ArmConfigurationError(msg)
    for number, one in enumerate(found, start=1):
        yield f"{file}, item {number}", *(one[name] for name in COLUMNS)


def _parse_csv(text: str, file: str) -> Iterator[_Figure]:
    header = text.partition("\n")[0]
    semicolons = ";" in header
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=";" if semicolons else ",", strict=True)
    try:
        names = [name.strip().lower() for name in next(rows, [])]
        if sorted(names) != sorted(COLUMNS):
            msg = f"{file} must begin with a header of {', '.join(COLUMNS)}"
            raise ArmConfigurationError(msg)
        for cells in rows:
            if not any(map(str.strip, cells)):
                continue
            where = f"{file}, line {rows.line_num}"
            if len(cells) != len(names):
                msg = f"{where} has {len(cells)} cells, not {len(names)}"
                raise ArmConfigurationError(msg)
            period, currency, amount = (cells[names.index(name)].strip() for name in COLUMNS)
            if semicolons and _DECIMAL_COMMA.fullmatch(amount):
                amount = amount.replace(",", ".")
            yield where, period, currency, amount
    except csv.Error:
        msg = f"{file}, line {rows.line_num} cannot be read as CSV"
        raise ArmConfigurationError(msg) from None
