"""Sums of exported files by period and currency: exact, complete, and only of the selected records."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client import money
from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.export import ArmExportMismatchError
from airflow_provider_arm.export.manifest.file_reader import BATCH_SIZE
from airflow_provider_arm.export.pages.record_types import RecordType
from airflow_provider_arm.reconcile.errors import ArmReconcileError
from airflow_provider_arm.reconcile.fields import SideQuery, parse_where
from airflow_provider_arm.reconcile.period import Period
from airflow_provider_arm.reconcile.sums import sum_exports
from tests.unit.reconcile.sample_exports import FILE_NAMES, ar_items, gl_items, records, write_export

FILE_SETTINGS = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def label_of(record: dict[str, Any], period: Period) -> str:
    """Return the label of a record's period, computed in another way than in the package."""
    if period is Period.NONE:
        return "all"
    if period is Period.LEDGER:
        return "{glYear}-{glPeriod:02}".format(**record)
    if record["voucherDate"] is None:
        return ""
    day = dt.date.fromisoformat(record["voucherDate"])
    quarter = "111222333444"[day.month - 1]
    return {"month": day.strftime("%Y-%m"), "quarter": f"{day.year}-Q{quarter}", "year": str(day.year)}[period]


def sum_by_hand(items: list[dict[str, Any]], period: Period, field: str) -> dict[tuple[str, str], tuple[Fraction, int]]:
    """Return sum and number of records by period and currency. Fractions never round."""
    sums: dict[tuple[str, str], tuple[Fraction, int]] = {}
    for item in items:
        key = label_of(item, period), "NOK" if field == "glAmount" else (item["currency"] or "").upper()
        total, count = sums.get(key, (Fraction(0), 0))
        sums[key] = total + Fraction(item[field] or 0), count + 1
    return sums


def expected_totals(manifest: dict[str, Any], field: str) -> dict[str, Fraction]:
    """Return a manifest's totals of a field by currency in upper case: "nok" and "NOK" are one currency."""
    if field == "glAmount":
        return {"NOK": Fraction(manifest["gl_totals"][field])} if manifest["rows"] else {}
    totals: dict[str, Fraction] = {}
    for currency, amounts in manifest["totals"].items():
        totals[currency.upper()] = totals.get(currency.upper(), Fraction(0)) + Fraction(amounts[field])
    return totals


@pytest.mark.parametrize("name", FILE_NAMES)
@FILE_SETTINGS
@given(given_records=records, period=st.sampled_from(Period), field=st.sampled_from(["currencyAmount", "glAmount"]))
def test_sums_are_exact_and_equal_the_manifests_totals(tmp_path, name, given_records, period, field):
    """For amounts of up to 15 digits and 4 decimals, per period and over all periods."""
    items = ar_items(*given_records)
    needed = {field, "currency" if field == "currencyAmount" else field}
    needed |= {"voucherDate"} if period in {"month", "quarter", "year"} else set()
    # A column without any value is an error; another test covers it.
    assume(not any(all(item[column] is None for item in items) for column in needed))
    path = write_export(tmp_path / name, items)
    side = sum_exports([path], SideQuery(field, period, own_currency="NOK"))
    sums = {key: (Fraction(total.amount), total.records) for key, total in side.amounts.items()}
    assert sums == sum_by_hand(items, period, field)
    over_all_periods: dict[str, Fraction] = {}
    for (_, currency), total in side.amounts.items():
        over_all_periods[currency] = over_all_periods.get(currency, Fraction(0)) + Fraction(total.amount)
    assert over_all_periods == expected_totals(money.decode(path.read_bytes()), field)


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_sum_of_several_files_includes_the_last_record_of_each(tmp_path, name):
    """Each file has one record less than a batch."""
    items = ar_items(*({"currencyAmount": Decimal("0.0001")} for _ in range(BATCH_SIZE - 1)))
    paths = [write_export(tmp_path / f"{part}{name}", items) for part in range(2)]
    (total,) = sum_exports(paths, SideQuery()).amounts.values()
    assert (total.amount, total.records) == (Decimal("0.0001") * 2 * (BATCH_SIZE - 1), 2 * (BATCH_SIZE - 1))


def test_file_longer_than_a_batch_is_read_to_its_end(tmp_path, monkeypatch):
    """The number of records is no multiple of the batch size."""
    monkeypatch.setattr("airflow_provider_arm.export.manifest.file_reader.BATCH_SIZE", 7)
    items = ar_items(*({"currencyAmount": 2**number} for number in range(23)))
    for name in ("a.jsonl", "a.csv", "a.parquet"):
        (total,) = sum_exports([write_export(tmp_path / name, items)], SideQuery()).amounts.values()
        assert (total.amount, total.records) == (2**23 - 1, 23)


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
@pytest.mark.parametrize(
    ("where", "rows"),
    [
        ({"glAccountNo": "1500"}, 2),
        ({"glAccountNo": 3000}, 1),
        ({"glAccountNo": ["1500", 3000], "voucherType": [3]}, 2),
        ({"voucherType": [3], "glAccountNo": "1500"}, 1),
        ({"glAccountNo": "1500", "voucherType": 3}, 1),
        ({"transactionText": "INVOICE"}, 3),
        ({"documentNo": None}, 2),
        ({"glAccountNo": "1501"}, 0),
    ],
)
def test_where_selects_records_in_every_format(tmp_path, name, where, rows):
    """Text and numbers are equal, and case makes no difference, as in ARM."""
    text = {"transactionText": "Invoice"}
    items = gl_items({**text, "documentNo": "7"}, {**text, "voucherType": 4}, {**text, "glAccountNo": "3000"})
    side = sum_exports([write_export(tmp_path / name, items)], SideQuery(where=parse_where(where, "where")))
    assert sum(total.records for total in side.amounts.values()) == rows
    assert (side.files[0]["rows"], side.files[0]["rows_compared"]) == (3, rows)


def test_description_of_a_file_identifies_no_person(tmp_path):
    """The values of *where* are shown for an account, and only counted for a customer."""
    where = parse_where({"customerNo": ["543210", "1"], "glAccountNo": "1500"}, "where")
    path = write_export(tmp_path / "a.jsonl", gl_items({}), filters={"customerno": "543210"})
    (description,) = sum_exports([path], SideQuery(where=where)).files
    assert description["where"] == {"customerNo": "2 values, not shown", "glAccountNo": "1500"}
    assert description["filters"] == ["customerno"]
    assert "543210" not in str(description)


def test_records_without_an_amount_are_counted(tmp_path):
    """They add 0 to the sum, and the report shows their number."""
    side = sum_exports([write_export(tmp_path / "a.csv", ar_items({}, {"currencyAmount": None}))], SideQuery())
    assert side.files[0]["rows_without_amount"] == 1
    assert [(total.amount, total.records) for total in side.amounts.values()] == [(100, 2)]


def test_empty_export_has_no_sums(tmp_path):
    """It is a side without amounts and no error: the other side may be empty too."""
    assert sum_exports([write_export(tmp_path / "a.csv", [])], SideQuery()).amounts == {}


@pytest.mark.parametrize(
    ("query", "options", "message"),
    [
        (SideQuery("currencyamount"), {}, "AR items have no amount field currencyamount .*currencyAmount, currencyBal"),
        (SideQuery("kid"), {}, "AR items have no amount field kid"),
        (SideQuery(by="createdTime"), {}, "AR items have no date field createdTime .*voucherDate, dueDate"),
        (SideQuery("glAmount"), {}, "set own_currency: .* a.jsonl have no field with the currency of glAmount"),
        (SideQuery(), {"mask": ["currencyAmount"]}, "no values in currencyAmount, because it is masked"),
        (SideQuery(), {"columns": ["arItemId", "currencyAmount"]}, "no column currency: export it too"),
        (SideQuery(by="dueDate"), {}, "no record of a.jsonl has a value in dueDate"),
        (SideQuery("currencyBalance"), {}, "no record of a.jsonl has a value in currencyBalance"),
        (SideQuery(where={"voucherNo": frozenset("1")}), {}, "no record of a.jsonl has a value in voucherNo"),
    ],
)
def test_query_is_rejected_when_the_export_lacks_a_field(tmp_path, query, options, message):
    """A typo in a field name is an error: the sums of two empty columns would match."""
    path = write_export(tmp_path / "a.jsonl", ar_items({}), **options)
    with pytest.raises((ArmReconcileError, ArmConfigurationError), match=message):
        sum_exports([path], query)


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
@pytest.mark.parametrize(
    ("fields", "query", "message"),
    [
        ({"currency": "Kari"}, SideQuery(), "a record's currency is not a three-letter code"),
        ({"voucherNo": "Kari"}, SideQuery("voucherNo"), "a record's voucherNo is not an exact number"),
        ({"transactionText": "Kari"}, SideQuery(by="transactionText"), "transactionText is not a date"),
        (
            {"glYear": "Kari"},
            SideQuery(period=Period.LEDGER),
            "glYear or glPeriod is not a year or a period of a ledger",
        ),
        (
            {"glPeriod": 100},
            SideQuery(period=Period.LEDGER),
            "glYear or glPeriod is not a year or a period of a ledger",
        ),
    ],
)
def test_invalid_value_is_reported_by_field_only(tmp_path, name, fields, query, message):
    """The message names file and field but not the value, which may be personal data."""
    record_type = RecordType("things", key="arItemId", currency="currency", amounts=("currencyAmount",))
    items = ar_items(fields)
    path = write_export(tmp_path / name, items, record_type=record_type, columns=list(items[0]))
    with pytest.raises(ArmReconcileError, match=message) as caught:
        sum_exports([path], query)
    assert name in str(caught.value)
    assert "Kari" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv.gz", "a.parquet"])
def test_changed_file_raises(tmp_path, name):
    """A single missing byte is enough."""
    path = write_export(tmp_path / name, ar_items({}, {}))
    data = tmp_path / name
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(ArmExportMismatchError, match=f"{name} and its manifest differ in"):
        sum_exports([path], SideQuery())


class SwappedPath:
    """A manifest whose file is replaced after it was verified."""

    def __init__(self, path: Any, content: bytes, reads: int) -> None:
        self.path, self.content, self.reads, self.name = path, content, reads, path.name

    def open(self, mode: str) -> Any:
        return self.path.open(mode)

    def with_name(self, name: str) -> Any:
        data = self.path.with_name(name)
        if self.reads == 0:
            data.write_bytes(self.content)
        self.reads -= 1
        return data


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
@pytest.mark.parametrize(
    ("items", "field"),
    [
        ([{}], "currencyAmount"),
        ([{}, {"currencyAmount": Decimal("100.0001")}], "currencyAmount"),
        ([{}, {"currency": "EUR"}], "currencyAmount"),
        ([{}, {}, {"currencyAmount": 0}], "currencyAmount"),
        ([{}, {"glAmount": Decimal("100.0001")}], "glAmount"),
    ],
)
def test_file_replaced_between_verification_and_sum_raises(tmp_path, name, items, field):
    """All rows must have been summed, and the sums must equal the manifest's totals."""
    other = tmp_path / f"other.{name}"
    write_export(other, ar_items(*items))
    path = write_export(tmp_path / name, ar_items({}, {}))
    with pytest.raises(ArmExportMismatchError, match="changed while it was read"):
        sum_exports([SwappedPath(path, other.read_bytes(), 1)], SideQuery(field, own_currency="NOK"))


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet", "a.csv.gz", "a.jsonl.zst"])
def test_file_replaced_by_another_format_raises(tmp_path, name):
    """The file was verified, and contains something else when it is summed."""
    path = write_export(tmp_path / name, ar_items({}, {}))
    with pytest.raises(ArmExportMismatchError, match="export again"):
        sum_exports([SwappedPath(path, b'"' * 5000, 1)], SideQuery())


def test_side_is_rejected_when_its_exports_are_of_different_lists(tmp_path):
    """AR items and GL items together would count every amount twice. A side without exports is an error too."""
    paths = [write_export(tmp_path / "a.jsonl", ar_items({})), write_export(tmp_path / "g.jsonl", gl_items({}))]
    with pytest.raises(ArmReconcileError, match="must be of one list"):
        sum_exports(paths, SideQuery())
    with pytest.raises(ArmReconcileError, match="at least one"):
        sum_exports([], SideQuery())


@pytest.mark.parametrize("where", [{"a": []}, {"a": 1.5}, {"a": {"b": 1}}, ["a"], "a"])
def test_parse_where_rejects_anything_but_fields_with_values(where):
    """An empty list, a float, a nested mapping and plain text are errors."""
    with pytest.raises(ArmConfigurationError, match="where"):
        parse_where(where, "where")


@pytest.mark.parametrize("period", ["month", "none"])
def test_sums_of_a_file_for_excel_equal_those_of_any_other(tmp_path, period):
    """An amount with a decimal comma is the same amount."""
    items = ar_items(
        {"currencyAmount": Decimal("-1234.5600"), "currency": "NOK"},
        {"currencyAmount": Decimal("0.01"), "currency": "EUR"},
        {"currencyAmount": 7, "currency": None},
    )
    query = SideQuery("currencyAmount", Period(period), own_currency="NOK")
    sides = [
        sum_exports([write_export(tmp_path / f"{dialect}.csv", items, csv_dialect=dialect)], query)
        for dialect in (None, "excel")
    ]
    assert sides[0].amounts == sides[1].amounts
