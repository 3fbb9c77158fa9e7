"""Sums by period and currency from exported files: exact, whole, and of what was asked for."""

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
from airflow_provider_arm.export.pages.record_types import RecordType
from airflow_provider_arm.reconcile.errors import ArmReconcileError
from airflow_provider_arm.reconcile.fields import SideQuery, parse_where
from airflow_provider_arm.reconcile.period import Period
from airflow_provider_arm.reconcile.read import BATCH
from airflow_provider_arm.reconcile.sums import sum_exports
from tests.unit.reconcile.ledgers import FORMATS, ar_items, gl_items, records, write

SEVERAL = settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


def period_of(record: dict[str, Any], period: Period) -> str:
    """Name the period in another way than the package does."""
    if period is Period.NONE:
        return "all"
    if period is Period.LEDGER:
        return "{glYear}-{glPeriod:02}".format(**record)
    if record["voucherDate"] is None:
        return ""
    day = dt.date.fromisoformat(record["voucherDate"])
    quarter = "111222333444"[day.month - 1]
    return {"month": day.strftime("%Y-%m"), "quarter": f"{day.year}-Q{quarter}", "year": str(day.year)}[period]


def expected(items: list[dict[str, Any]], period: Period, field: str) -> dict[tuple[str, str], tuple[Fraction, int]]:
    """Add up in fractions, which never round."""
    found: dict[tuple[str, str], tuple[Fraction, int]] = {}
    for item in items:
        key = period_of(item, period), "NOK" if field == "glAmount" else (item["currency"] or "").upper()
        total, rows = found.get(key, (Fraction(0), 0))
        found[key] = total + Fraction(item[field] or 0), rows + 1
    return found


@pytest.mark.parametrize("name", FORMATS)
@SEVERAL
@given(given_records=records, period=st.sampled_from(Period), field=st.sampled_from(["currencyAmount", "glAmount"]))
def test_every_sum_is_exact_and_together_they_are_the_manifests(tmp_path, name, given_records, period, field):
    """For any amounts of 15 digits and 4 places: by hand the same, and over all periods what the manifest says."""
    items = ar_items(*given_records)
    needed = {field, "currency" if field == "currencyAmount" else field}
    needed |= {"voucherDate"} if period in {"month", "quarter", "year"} else set()
    # A column without a value is refused, and has a test of its own.
    assume(not any(all(item[one] is None for item in items) for one in needed))
    manifest = write(tmp_path / name, items)
    side = sum_exports([manifest], SideQuery(field, period, own_currency="NOK"))
    assert {key: (Fraction(found.amount), found.rows) for key, found in side.sums.items()} == expected(
        items, period, field
    )
    said = money.decode(manifest.read_bytes())
    over_all: dict[str, Fraction] = {}
    for (_, currency), found in side.sums.items():
        over_all[currency] = over_all.get(currency, Fraction(0)) + Fraction(found.amount)
    if field == "glAmount":
        told = {"NOK": Fraction(said["gl_totals"][field])} if items else {}
    else:
        told = {}
        for currency, totals in said["totals"].items():  # "nok" and "NOK" are one currency
            told[currency.upper()] = told.get(currency.upper(), Fraction(0)) + Fraction(totals[field])
    assert over_all == told


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
def test_more_records_than_a_batch_are_all_counted(tmp_path, name):
    """The last record counts as the first does."""
    items = ar_items(*({"currencyAmount": Decimal("0.0001")} for _ in range(BATCH - 1)))
    several = [write(tmp_path / f"{part}{name}", items) for part in range(2)]
    (found,) = sum_exports(several, SideQuery()).sums.values()
    assert (found.amount, found.rows) == (Decimal("0.0001") * 2 * (BATCH - 1), 2 * (BATCH - 1))


def test_a_file_longer_than_a_batch_is_read_to_its_end(tmp_path, monkeypatch):
    """Whatever the size of a batch."""
    monkeypatch.setattr("airflow_provider_arm.reconcile.read.BATCH", 7)
    items = ar_items(*({"currencyAmount": 2**number} for number in range(23)))
    for name in ("a.jsonl", "a.csv", "a.parquet"):
        (found,) = sum_exports([write(tmp_path / name, items)], SideQuery()).sums.values()
        assert (found.amount, found.rows) == (2**23 - 1, 23)


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
def test_only_what_was_asked_for_is_added_up(tmp_path, name, where, rows):
    """Records are chosen by their values, in every format alike; numbers and case make no difference, as in ARM."""
    text = {"transactionText": "Invoice"}
    items = gl_items({**text, "documentNo": "7"}, {**text, "voucherType": 4}, {**text, "glAccountNo": "3000"})
    side = sum_exports([write(tmp_path / name, items)], SideQuery(where=parse_where(where, "where")))
    assert sum(found.rows for found in side.sums.values()) == rows
    assert (side.files[0]["rows"], side.files[0]["rows_compared"]) == (3, rows)


def test_what_the_report_tells_of_a_file_names_no_person(tmp_path):
    """Values that choose by account are shown; those that choose by customer are counted."""
    where = parse_where({"customerNo": ["543210", "1"], "glAccountNo": "1500"}, "where")
    manifest = write(tmp_path / "a.jsonl", gl_items({}), filters={"customerno": "543210"})
    (about,) = sum_exports([manifest], SideQuery(where=where)).files
    assert about["where"] == {"customerNo": "2 values, not shown", "glAccountNo": "1500"}
    assert about["filters"] == ["customerno"]
    assert "543210" not in str(about)


def test_records_without_an_amount_are_counted(tmp_path):
    """They add nothing, and the report says how many they are."""
    side = sum_exports([write(tmp_path / "a.csv", ar_items({}, {"currencyAmount": None}))], SideQuery())
    assert side.files[0]["rows_without_amount"] == 1
    assert [(found.amount, found.rows) for found in side.sums.values()] == [(100, 2)]


def test_an_export_of_nothing_has_no_sums(tmp_path):
    """It is a side without lines, not an error: the other side may have none either."""
    assert sum_exports([write(tmp_path / "a.csv", [])], SideQuery()).sums == {}


@pytest.mark.parametrize(
    ("query", "more", "says"),
    [
        (SideQuery("currencyamount"), {}, "AR items have no amount currencyamount .*currencyAmount, currencyBalance"),
        (SideQuery("kid"), {}, "AR items have no amount kid"),
        (SideQuery(by="createdTime"), {}, "AR items have no day createdTime .*voucherDate, dueDate"),
        (SideQuery("glAmount"), {}, "own_currency must say"),
        (SideQuery(), {"mask": ["currencyAmount"]}, "no values of currencyAmount, which is masked"),
        (SideQuery(), {"columns": ["arItemId", "currencyAmount"]}, "no column currency: export it too"),
        (SideQuery(by="dueDate"), {}, "no record of a.jsonl has a value in dueDate"),
        (SideQuery("currencyBalance"), {}, "no record of a.jsonl has a value in currencyBalance"),
        (SideQuery(where={"voucherNo": frozenset("1")}), {}, "no record of a.jsonl has a value in voucherNo"),
    ],
)
def test_a_field_that_cannot_answer_is_told(tmp_path, query, more, says):
    """A typo in a name never adds up nothing with nothing, which would agree."""
    manifest = write(tmp_path / "a.jsonl", ar_items({}), **more)
    with pytest.raises((ArmReconcileError, ArmConfigurationError), match=says):
        sum_exports([manifest], query)


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
@pytest.mark.parametrize(
    ("fields", "query", "says"),
    [
        ({"currency": "Kari"}, SideQuery(), "a record's currency is no code of three letters"),
        ({"voucherNo": "Kari"}, SideQuery("voucherNo"), "a record's voucherNo is no exact number"),
        ({"transactionText": "Kari"}, SideQuery(by="transactionText"), "transactionText is no day"),
        ({"glYear": "Kari"}, SideQuery(period=Period.LEDGER), "glYear or glPeriod is no year or no period of a ledger"),
        ({"glPeriod": 100}, SideQuery(period=Period.LEDGER), "glYear or glPeriod is no year or no period of a ledger"),
    ],
)
def test_a_value_of_the_wrong_kind_is_told_by_its_field_alone(tmp_path, name, fields, query, says):
    """The message names file and field; the value may be somebody's."""
    kind = RecordType("things", key="arItemId", currency="currency", amounts=("currencyAmount",))
    columns = list(ar_items(fields)[0])
    with pytest.raises(ArmReconcileError, match=says) as caught:
        sum_exports([write(tmp_path / name, ar_items(fields), kind=kind, columns=columns)], query)
    assert name in str(caught.value)
    assert "Kari" not in str(caught.value)


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv.gz", "a.parquet"])
def test_a_file_that_was_changed_is_told(tmp_path, name):
    """One byte is enough."""
    manifest = write(tmp_path / name, ar_items({}, {}))
    data = tmp_path / name
    data.write_bytes(data.read_bytes()[:-1])
    with pytest.raises(ArmExportMismatchError, match=f"{name} and its manifest do not agree"):
        sum_exports([manifest], SideQuery())


class SwappedPath:
    """A manifest whose file is swapped for another one after the check has read it."""

    def __init__(self, path: Any, swapped: bytes, opens: int) -> None:
        self.path, self.swapped, self.opens, self.name = path, swapped, opens, path.name

    def open(self, mode: str) -> Any:
        return self.path.open(mode)

    def with_name(self, name: str) -> Any:
        data = self.path.with_name(name)
        if self.opens == 0:
            data.write_bytes(self.swapped)
        self.opens -= 1
        return data


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet"])
@pytest.mark.parametrize(
    ("swapped", "field"),
    [
        ([{}], "currencyAmount"),
        ([{}, {"currencyAmount": Decimal("100.0001")}], "currencyAmount"),
        ([{}, {"currency": "EUR"}], "currencyAmount"),
        ([{}, {}, {"currencyAmount": 0}], "currencyAmount"),
        ([{}, {"glAmount": Decimal("100.0001")}], "glAmount"),
    ],
)
def test_a_file_that_is_swapped_between_check_and_sum_is_told(tmp_path, name, swapped, field):
    """What was added up must be all rows, and come to the manifest's own totals."""
    other = tmp_path / f"other.{name}"
    write(other, ar_items(*swapped))
    manifest = write(tmp_path / name, ar_items({}, {}))
    with pytest.raises(ArmExportMismatchError, match="changed while it was read"):
        sum_exports([SwappedPath(manifest, other.read_bytes(), 1)], SideQuery(field, own_currency="NOK"))


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.parquet", "a.csv.gz", "a.jsonl.zst"])
def test_a_file_that_is_none_any_more_is_told(tmp_path, name):
    """The check had read it; now something else stands there."""
    manifest = write(tmp_path / name, ar_items({}, {}))
    with pytest.raises((ArmReconcileError, ArmExportMismatchError), match="export again"):
        sum_exports([SwappedPath(manifest, b'"' * 5000, 1)], SideQuery())


def test_exports_of_different_lists_are_no_side(tmp_path):
    """AR items and GL items together would count everything twice."""
    both = [write(tmp_path / "a.jsonl", ar_items({})), write(tmp_path / "g.jsonl", gl_items({}))]
    with pytest.raises(ArmReconcileError, match="must be of one list"):
        sum_exports(both, SideQuery())
    with pytest.raises(ArmReconcileError, match="at least one"):
        sum_exports([], SideQuery())


@pytest.mark.parametrize("where", [{"a": []}, {"a": 1.5}, {"a": {"b": 1}}, ["a"], "a"])
def test_a_choice_of_records_is_plain(where):
    """Fields with values to look for, nothing else."""
    with pytest.raises(ArmConfigurationError, match="where"):
        parse_where(where, "where")
