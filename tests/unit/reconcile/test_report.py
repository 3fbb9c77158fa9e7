"""The report as Markdown and as JSON: every comparison row, with every digit."""

from __future__ import annotations

import datetime as dt
import json
from decimal import Decimal
from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from airflow_provider_arm import __version__
from airflow_provider_arm.reconcile.compare import ComparisonOptions, compare, parse_tolerance
from airflow_provider_arm.reconcile.fields import SideQuery, parse_where
from airflow_provider_arm.reconcile.period import Period
from airflow_provider_arm.reconcile.report import MAX_SUMMARY_LINES, build_json, build_markdown, build_summary
from airflow_provider_arm.reconcile.sums import AmountTotal, ComparisonSide, sum_exports
from tests.unit.reconcile.sample_exports import ar_items, gl_items, write_export

NOW = dt.datetime(2026, 11, 1, 6, 30, tzinfo=dt.UTC)
amounts = st.decimals(min_value=-(10**11) + 1, max_value=10**11 - 1, places=4, allow_nan=False)
side_amounts = st.dictionaries(
    st.tuples(st.sampled_from(["2026-09", "2026-10", ""]), st.sampled_from(["NOK", "EUR", ""])),
    st.builds(AmountTotal, amounts, st.integers(1, 9)),
)


def parse_tables(markdown):
    """Return the tables of a Markdown text as lists of cells."""
    tables, table = [], []
    for line in [*markdown.splitlines(), ""]:
        if line.startswith("|"):
            table.append([cell.strip() for cell in line.strip("|").split("|")])
        elif table:
            tables.append(table)
            table = []
    return tables


@given(left=side_amounts, right=side_amounts, periods=st.none() | st.just(["2026-10"]))
def test_both_reports_have_every_row_and_every_digit(left, right, periods):
    """All rows of a table have the same number of cells, and parsing the amounts returns those that were compared."""
    sides = ComparisonSide("AR items", left), ComparisonSide("GL items", right)
    comparison = compare(*sides, ComparisonOptions(periods=periods))
    report = json.loads(build_json(comparison, SideQuery(), NOW))
    assert (report["matches"], report["differences"]) == (comparison.matches, len(comparison.differences))
    for line, row in zip(report["lines"], comparison.rows, strict=True):
        assert (line["period"], line["currency"], line["status"]) == (row.period, row.currency, row.status)
        for name in ("left", "right", "difference"):
            amount = getattr(row, name)
            expected = None if amount is None else Fraction(amount)
            assert (None if line[name] is None else Fraction(line[name])) == expected
    markdown = build_markdown(comparison, SideQuery(), NOW)
    for table in parse_tables(markdown):
        assert len({len(cells) for cells in table}) == 1
    all_rows = next(table for table in parse_tables(markdown.partition("## All periods")[2]))
    assert [cells[0].replace("(none)", "") for cells in all_rows[2:]] == [row.period for row in comparison.rows]
    for cells, row in zip(all_rows[2:], comparison.rows, strict=True):
        assert Fraction(cells[4].replace("\N{NO-BREAK SPACE}", "")) == Fraction(row.difference)
        assert ("**" in cells[5]) == (not row.matches)


def test_summary_is_bounded_and_counts_what_it_omits():
    """It goes through XCom and into an approval request."""
    left = {(f"{year}", "NOK"): AmountTotal(Decimal(1), 1) for year in range(1990, 2026)}
    ar_items_side, options = ComparisonSide("AR items", left), ComparisonOptions()
    text = build_summary(compare(ar_items_side, ComparisonSide("GL items", {}), options))
    assert len(parse_tables(text)[0]) == 2 + MAX_SUMMARY_LINES
    assert "The report lists 16 more differences." in text
    assert text.startswith("**AR items and GL items do not match**: 36 of 36 lines by period and currency differ.")
    assert build_summary(compare(ar_items_side, ComparisonSide("GL items", left), options)) == (
        "**AR items and GL items match**: no difference in 36 lines by period and currency."
    )


def test_markdown_report_has_the_documented_text(tmp_path):
    """A whole report: differences first, then all rows, then what was compared and the files."""
    ours = [{"currencyAmount": Decimal("1234567.5")}, {"currencyAmount": 10, "currency": "EUR"}]
    theirs = [{"currencyAmount": Decimal("-1234567.4999")}, {"voucherDate": "2026-09-30"}]
    left = sum_exports([write_export(tmp_path / "ar.jsonl", ar_items(*ours))], SideQuery())
    where = parse_where({"glAccountNo": 1500}, "against_where")
    manifest = write_export(tmp_path / "gl.csv", gl_items(*theirs), filters={"glyear": "2026"})
    right = sum_exports([manifest], SideQuery(where=where))
    options = ComparisonOptions(parse_tolerance({"NOK": "0.50"}), True, ["2026-10"])
    text = build_markdown(compare(left, right, options), SideQuery(), NOW).replace("\N{NO-BREAK SPACE}", "_")
    checksums = [file["sha256"][:12] for side in (left, right) for file in side.files]
    assert text.replace(checksums[0], "A").replace(checksums[1], "B") == REPORT


REPORT = f"""\
# Reconciliation: AR items and GL items

**AR items and GL items do not match**: 1 of 2 lines by period and currency differs.

## Differences

| Period | Currency | AR items | GL items | Difference | Result |
| --- | --- | ---: | ---: | ---: | --- |
| 2026-10 | EUR | 10.00 | - | 10.00 | **missing in GL items** |

## All periods and currencies

| Period | Currency | AR items | GL items | Difference | Result |
| --- | --- | ---: | ---: | ---: | --- |
| 2026-10 | EUR | 10.00 | - | 10.00 | **missing in GL items** |
| 2026-10 | NOK | 1_234_567.50 | -1_234_567.4999 | 0.0001 | within tolerance |

## Totals of these periods

| Currency | AR items | GL items | Difference |
| --- | ---: | ---: | ---: |
| EUR | 10.00 | - | 10.00 |
| NOK | 1_234_567.50 | -1_234_567.4999 | 0.0001 |

## Not compared: totals of other periods

| Currency | AR items | GL items |
| --- | ---: | ---: |
| NOK | - | 100.00 |

## What was compared

- Period: month of voucherDate
- Only these periods: 2026-10
- Tolerance: NOK 0.5
- GL items: debits have the opposite sign, so the difference is left plus right
- Compared 2026-11-01 06:30:00+00:00 by airflow-provider-arm {__version__}

## Left: AR items

- ar.jsonl: 2 of 2 records, currencyAmount, voucherDate 2026-10-15 to 2026-10-15; \
exported 2026-11-01T05:00:00.000+00:00, sha256 A...

## Right: GL items

- gl.csv: 2 of 2 records, currencyAmount, only glAccountNo: 1500, voucherDate 2026-09-30 to 2026-10-15, \
export filtered by glyear; exported 2026-11-01T05:00:00.000+00:00, sha256 B...
"""


def test_report_describes_every_kind_of_comparison():
    """All records together, the ledger's own periods, figures of the DAG, and one tolerance for all currencies."""
    left = ComparisonSide("AR items", {("all", "NOK"): AmountTotal(Decimal(1), 1)})
    figures = ({"records": "given figures"},)
    right = ComparisonSide("given figures", {("all", "NOK"): AmountTotal(Decimal(1), None)}, figures)
    comparison = compare(left, right, ComparisonOptions(parse_tolerance("0.5")))
    text = build_markdown(comparison, SideQuery(period=Period.NONE), NOW)
    assert "- Period: none, one total for all records\n- Tolerance: 0.5\n" in text
    assert "## Right: given figures\n\n- In the DAG\n" in text
    by_ledger = SideQuery(period=Period.LEDGER)
    assert "- Period: ledger of glYear and glPeriod\n" in build_markdown(comparison, by_ledger, NOW)
    report = json.loads(build_json(comparison, by_ledger, NOW))
    assert (report["by"], report["tolerance"]) == (["glYear", "glPeriod"], {"*": "0.5"})
    assert report["lines"][0]["right_rows"] is None
