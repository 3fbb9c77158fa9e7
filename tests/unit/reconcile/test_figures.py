"""Figures: parsed exactly, or rejected with their place."""

from __future__ import annotations

import csv
import io
import json
from decimal import Decimal

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.errors import ArmConfigurationError
from airflow_provider_arm.reconcile.amount import format_amount, parse_amount
from airflow_provider_arm.reconcile.figures import MAX_FILE_SIZE, read_figure_file, read_figures
from airflow_provider_arm.reconcile.period import Period

amounts = st.decimals(min_value=-(10**11) + 1, max_value=10**11 - 1, places=4, allow_nan=False)
figures_by_period = st.dictionaries(
    st.sampled_from(["2026-08", "2026-09", "2026-10"]),
    st.dictionaries(st.sampled_from(["NOK", "EUR"]), amounts, min_size=1),
    min_size=1,
)


def amount_texts(side):
    """Return the amounts by key, as they were written."""
    assert all(total.records is None for total in side.amounts.values())
    return {key: str(total.amount) for key, total in side.amounts.items()}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(figures=figures_by_period, bom=st.sampled_from(["", "\N{ZERO WIDTH NO-BREAK SPACE}"]))
def test_figures_are_equal_in_every_notation(tmp_path, figures, bom):
    """In the DAG, in both forms of JSON, as CSV with commas, and as Norwegian spreadsheets write CSV."""
    rows = [(period, code, amount) for period, codes in figures.items() for code, amount in codes.items()]
    expected = {(period, code): Decimal(f"{amount:f}") for period, code, amount in rows}
    assert amount_texts(read_figures(figures, Period.MONTH)) == {key: str(amount) for key, amount in expected.items()}
    by_period = {period: {code: f"{amount:f}" for code, amount in codes.items()} for period, codes in figures.items()}
    texts = {
        "a.json": json.dumps(by_period),
        "b.json": f"[{','.join(json_row(*row) for row in rows)}]",
        "a.csv": csv_table(rows, ","),
        "b.CSV": csv_table([(p, code, f"{amount:f}".replace(".", ",")) for p, code, amount in rows], ";"),
        "c.csv": csv_table(rows, ";"),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(bom + text, encoding="utf-8", newline="")
        side = read_figure_file(tmp_path / name, Period.MONTH)
        assert {key: Decimal(amount) for key, amount in amount_texts(side).items()} == expected
        assert side.files[0]["file"] == name


def json_row(period, code, amount):
    """Return a figure as JSON with its amount as a number."""
    return f'{{"period": "{period}", "currency": "{code.lower()}", "amount": {amount:f}}}'


def csv_table(rows, delimiter):
    """Return a CSV with the columns in another order, and with an empty line at its end."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(["Amount", "period", " CURRENCY "])
    writer.writerows([f"{a:f}" if isinstance(a, Decimal) else a, p, code] for p, code, a in rows)
    return out.getvalue() + delimiter * 2 + "\r\n"


HEAD = "period,currency,amount\n"


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("f.csv", "", "f.csv must begin with a header of period, currency, amount"),
        ("f.csv", "period,currency\n", "must begin with a header"),
        ("f.csv", "period,currency,amount,amount\n", "must begin with a header"),
        ("f.csv", HEAD, "against has no figures"),
        ("f.csv", HEAD + "2026-10,NOK\n", "f.csv, line 2 has 2 cells, not 3"),
        ("f.csv", HEAD + "2026-10,NOK,1,5\n", "f.csv, line 2 has 4 cells"),
        ("f.csv", HEAD + "2026-10,NOK,1\n10/2026,NOK,1\n", 'f.csv, line 3: a period must be written as "2026-10"'),
        ("f.csv", HEAD + "2026-10,NOK,1\n2026-10,nok,2\n", "f.csv, line 3: duplicate figure for 2026-10 NOK"),
        ("f.csv", HEAD + "2026-10,kr,1\n", "f.csv, line 2: the currency must be a three-letter code"),
        ("f.csv", HEAD + "2026-10,,1\n", "f.csv, line 2: the currency must be a three-letter code"),
        ("f.csv", HEAD + '2026-10,NOK,"1,5"\n', "f.csv, line 2: the amount is not an exact number"),
        ("f.csv", HEAD.replace(",", ";") + "2026-10;NOK;1.234,50\n", "the amount is not an exact number"),
        ("f.csv", HEAD + "2026-10,NOK,1 000\n", "the amount is not an exact number"),
        ("f.csv", HEAD + "2026-10,NOK,\n", "the amount is not an exact number"),
        ("f.csv", HEAD + '2026-10,NOK,"1', "line 2 cannot be read as CSV"),
        ("f.json", "", "f.json must be JSON"),
        ("f.json", "[1]", "f.json must be JSON"),
        ("f.json", '[{"period": "2026-10", "currency": "NOK"}]', "f.json must be JSON"),
        ("f.json", '[{"period": "2026-10", "currency": "NOK", "amount": null}]', "f.json, item 1: the amount"),
        ("f.json", '{"2026-10": "1"}', "f.json: figures must be written as"),
        ("f.json", '{"2026-10": {"NOK": true}}', "f.json, 2026-10 NOK: the amount is not an exact number"),
        ("f.json", '{"2026-10": {"NOK": "1e31"}}', "the amount is out of range"),
        ("f.json", '{"2026-10": {"NOK": 1e99}}', "f.json must be JSON"),
        ("f.json", "{}", "against has no figures"),
    ],
)
def test_invalid_figure_file_is_rejected_with_its_place(tmp_path, name, text, message):
    """The message names file, line and error; an ambiguous amount is never guessed."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ArmConfigurationError) as caught:
        read_figure_file(tmp_path / name, Period.MONTH)
    assert message in str(caught.value)


def test_figure_file_is_rejected_when_it_is_not_text_or_too_large(tmp_path):
    """A file in another encoding is rejected, and a large one without reading all of it."""
    (tmp_path / "f.csv").write_bytes(HEAD.encode() + b"2026-10,NOK,1\xf8\n")
    with pytest.raises(ArmConfigurationError, match=r"f\.csv is not UTF-8"):
        read_figure_file(tmp_path / "f.csv", Period.MONTH)
    (tmp_path / "f.csv").write_bytes(b" " * (MAX_FILE_SIZE + 1))
    with pytest.raises(ArmConfigurationError, match=r"f\.csv is too large"):
        read_figure_file(tmp_path / "f.csv", Period.MONTH)


@pytest.mark.parametrize(
    ("figures", "message"),
    [
        ({"2026-10": {"NOK": 124.37}}, "against, 2026-10 NOK: the amount is not an exact number"),
        ({"2026-10": {"NOK": Decimal("NaN")}}, "not an exact number"),
        ({"2026-10": {"NOK": Decimal(10) ** 31}}, "out of range"),
        ({"2026-10": {"NOK": Decimal("1." + "3" * 60)}}, "out of range"),
        ({"2026-10": {1: "1"}}, "the currency must be"),
        ({"NOK": "1"}, "figures must be written as"),
        ({}, "against has no figures"),
    ],
)
def test_invalid_figures_of_a_dag_are_rejected(figures, message):
    """A float is never accepted as an amount."""
    with pytest.raises(ArmConfigurationError, match=message):
        read_figures(figures, Period.MONTH)


@given(amount=amounts)
def test_format_amount_keeps_every_digit(amount):
    """Thousands are separated, there are at least two decimals, and parsing the text returns the amount."""
    text = format_amount(amount)
    assert parse_amount(text.replace("\N{NO-BREAK SPACE}", "")) == amount
    integer, decimals = text.split(".")
    assert len(decimals) >= 2
    groups = integer.lstrip("-").split("\N{NO-BREAK SPACE}")
    assert 1 <= len(groups[0]) <= 3
    assert {len(group) for group in groups[1:]} <= {3}
