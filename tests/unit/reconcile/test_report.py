"""The report: every line of it, to the digit, for a person and for a program."""

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
from tests.unit.reconcile.ledgers import ar_items, gl_items, write

NOW = dt.datetime(2026, 11, 1, 6, 30, tzinfo=dt.UTC)
amounts = st.decimals(min_value=-(10**11) + 1, max_value=10**11 - 1, places=4, allow_nan=False)
sums = st.dictionaries(
    st.tuples(st.sampled_from(["2026-09", "2026-10", ""]), st.sampled_from(["NOK", "EUR", ""])),
    st.builds(AmountTotal, amounts, st.integers(1, 9)),
)


def tables(text):
    """Read the tables of a Markdown text as lists of cells."""
    found, table = [], []
    for line in [*text.splitlines(), ""]:
        if line.startswith("|"):
            table.append([cell.strip() for cell in line.strip("|").split("|")])
        elif table:
            found.append(table)
            table = []
    return found


@given(left=sums, right=sums, periods=st.none() | st.just(["2026-10"]))
def test_both_reports_have_every_line_and_every_digit(left, right, periods):
    """Tables are whole rows; amounts read back are those that were compared."""
    comparison = compare(
        ComparisonSide("AR items", left), ComparisonSide("GL items", right), ComparisonOptions(periods=periods)
    )
    said = json.loads(build_json(comparison, SideQuery(), NOW))
    assert (said["matches"], said["differences"]) == (comparison.matches, len(comparison.differences))
    for shown, line in zip(said["lines"], comparison.rows, strict=True):
        assert (shown["period"], shown["currency"], shown["status"]) == (line.period, line.currency, line.status)
        for name in ("left", "right", "difference"):
            amount = getattr(line, name)
            assert (None if shown[name] is None else Fraction(shown[name])) == (
                None if amount is None else Fraction(amount)
            )
    text = build_markdown(comparison, SideQuery(), NOW)
    for table in tables(text):
        assert len({len(row) for row in table}) == 1
    every = next(table for table in tables(text.partition("## Every period")[2]))
    assert [row[0].replace("(none)", "") for row in every[2:]] == [line.period for line in comparison.rows]
    for row, line in zip(every[2:], comparison.rows, strict=True):
        assert Fraction(row[4].replace("\N{NO-BREAK SPACE}", "")) == Fraction(line.difference)
        assert ("**" in row[5]) == (not line.agrees)


def test_the_summary_is_bounded_and_says_what_it_leaves_out():
    """It goes through XCom and into a question."""
    left = {(f"{year}", "NOK"): AmountTotal(Decimal(1), 1) for year in range(1990, 2026)}
    text = build_summary(compare(ComparisonSide("AR items", left), ComparisonSide("GL items", {}), ComparisonOptions()))
    assert len(tables(text)[0]) == 2 + MAX_SUMMARY_LINES
    assert "And 16 more in the report." in text
    assert text.startswith("**AR items and GL items do not agree**: 36 of 36 lines of period and currency differ.")
    assert build_summary(
        compare(ComparisonSide("AR items", left), ComparisonSide("GL items", left), ComparisonOptions())
    ) == ("**AR items and GL items agree** in 36 lines of period and currency.")


def test_a_report_reads_as_it_should(tmp_path):
    """The whole of it, once: what differs first, then everything, then what was compared and from which files."""
    ours = [{"currencyAmount": Decimal("1234567.5")}, {"currencyAmount": 10, "currency": "EUR"}]
    theirs = [{"currencyAmount": Decimal("-1234567.4999")}, {"voucherDate": "2026-09-30"}]
    left = sum_exports([write(tmp_path / "ar.jsonl", ar_items(*ours))], SideQuery())
    where = parse_where({"glAccountNo": 1500}, "against_where")
    manifest = write(tmp_path / "gl.csv", gl_items(*theirs), filters={"glyear": "2026"})
    right = sum_exports([manifest], SideQuery(where=where))
    options = ComparisonOptions(parse_tolerance({"NOK": "0.50"}), True, ["2026-10"])
    text = build_markdown(compare(left, right, options), SideQuery(), NOW).replace("\N{NO-BREAK SPACE}", "_")
    checksums = [file["sha256"][:12] for side in (left, right) for file in side.files]
    assert text.replace(checksums[0], "A").replace(checksums[1], "B") == REPORT


REPORT = f"""\
# Reconciliation: AR items and GL items

**AR items and GL items do not agree**: 1 of 2 lines of period and currency differs.

## Differences

| Period | Currency | AR items | GL items | Difference | Result |
| --- | --- | ---: | ---: | ---: | --- |
| 2026-10 | EUR | 10.00 | - | 10.00 | **nothing in GL items** |

## Every period and currency

| Period | Currency | AR items | GL items | Difference | Result |
| --- | --- | ---: | ---: | ---: | --- |
| 2026-10 | EUR | 10.00 | - | 10.00 | **nothing in GL items** |
| 2026-10 | NOK | 1_234_567.50 | -1_234_567.4999 | 0.0001 | within tolerance |

## Over all these periods

| Currency | AR items | GL items | Difference |
| --- | ---: | ---: | ---: |
| EUR | 10.00 | - | 10.00 |
| NOK | 1_234_567.50 | -1_234_567.4999 | 0.0001 |

## Not compared, because outside of the periods asked for

| Currency | AR items | GL items |
| --- | ---: | ---: |
| NOK | - | 100.00 |

## What was compared

- Period: month of voucherDate
- Only these periods: 2026-10
- Tolerance: NOK 0.5
- The sides are of opposite sign: the difference is left plus right
- Compared 2026-11-01 06:30:00+00:00 by airflow-provider-arm {__version__}

## Left: AR items

- ar.jsonl: 2 of 2 records, currencyAmount, voucherDate 2026-10-15 to 2026-10-15; \
exported 2026-11-01T05:00:00.000+00:00, sha256 A...

## Right: GL items

- gl.csv: 2 of 2 records, currencyAmount, only glAccountNo: 1500, voucherDate 2026-09-30 to 2026-10-15, \
exported by glyear; exported 2026-11-01T05:00:00.000+00:00, sha256 B...
"""


def test_every_way_to_compare_is_in_the_report():
    """Everything together, a ledger's own periods, figures from the DAG, one tolerance for all."""
    left = ComparisonSide("AR items", {("all", "NOK"): AmountTotal(Decimal(1), 1)})
    right = ComparisonSide(
        "figures given", {("all", "NOK"): AmountTotal(Decimal(1), None)}, ({"records": "figures given"},)
    )
    comparison = compare(left, right, ComparisonOptions(parse_tolerance("0.5")))
    text = build_markdown(comparison, SideQuery(period=Period.NONE), NOW)
    assert "- Period: none, everything together\n- Tolerance: 0.5\n" in text
    assert "## Right: figures given\n\n- In the DAG\n" in text
    assert "- Period: ledger of glYear and glPeriod\n" in build_markdown(
        comparison, SideQuery(period=Period.LEDGER), NOW
    )
    said = json.loads(build_json(comparison, SideQuery(period=Period.LEDGER), NOW))
    assert (said["by"], said["tolerance"], said["lines"][0]["right_rows"]) == (
        ["glYear", "glPeriod"],
        {"*": "0.5"},
        None,
    )
