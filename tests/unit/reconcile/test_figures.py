"""Figures that somebody gives: read exactly, or refused with their place."""

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
figures = st.dictionaries(
    st.sampled_from(["2026-08", "2026-09", "2026-10"]),
    st.dictionaries(st.sampled_from(["NOK", "EUR"]), amounts, min_size=1),
    min_size=1,
)


def plain(side):
    """Give amounts by key, as they were written."""
    assert all(found.rows is None for found in side.sums.values())
    return {key: str(found.amount) for key, found in side.sums.items()}


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(given_figures=figures, mark=st.sampled_from(["", "\N{ZERO WIDTH NO-BREAK SPACE}"]))
def test_every_way_to_write_figures_gives_the_same(tmp_path, given_figures, mark):
    """In the DAG, as JSON of either form, as CSV with commas, and as a Norwegian spreadsheet saves it."""
    rows = [(period, code, amount) for period, codes in given_figures.items() for code, amount in codes.items()]
    expected = {(period, code): f"{amount:f}" for period, code, amount in rows}
    assert plain(read_figures(given_figures, Period.MONTH)) == {
        key: str(Decimal(text)) for key, text in expected.items()
    }
    texts = {
        "a.json": json.dumps(
            {period: {c: f"{a:f}" for c, a in codes.items()} for period, codes in given_figures.items()}
        ),
        "b.json": f"[{','.join(json_row(*row) for row in rows)}]",
        "a.csv": table(rows, ","),
        "b.CSV": table([(p, code, f"{a:f}".replace(".", ",")) for p, code, a in rows], ";"),
        "c.csv": table(rows, ";"),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(mark + text, encoding="utf-8", newline="")
        side = read_figure_file(tmp_path / name, Period.MONTH)
        assert {key: Decimal(text) for key, text in plain(side).items()} == {
            key: Decimal(text) for key, text in expected.items()
        }
        assert side.files[0]["file"] == name


def json_row(period, code, amount):
    """Write a figure as JSON, its amount a number."""
    return f'{{"period": "{period}", "currency": "{code.lower()}", "amount": {amount:f}}}'


def table(rows, delimiter):
    """Write a CSV, its columns in another order, with an empty line."""
    out = io.StringIO(newline="")
    writer = csv.writer(out, delimiter=delimiter)
    writer.writerow(["Amount", "period", " CURRENCY "])
    writer.writerows([f"{a:f}" if isinstance(a, Decimal) else a, p, code] for p, code, a in rows)
    return out.getvalue() + delimiter * 2 + "\r\n"


HEAD = "period,currency,amount\n"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("f.csv", "", "f.csv must begin with a header of period, currency, amount"),
        ("f.csv", "period,currency\n", "must begin with a header"),
        ("f.csv", "period,currency,amount,amount\n", "must begin with a header"),
        ("f.csv", HEAD, "against has no figures"),
        ("f.csv", HEAD + "2026-10,NOK\n", "f.csv, line 2 has 2 cells, not 3"),
        ("f.csv", HEAD + "2026-10,NOK,1,5\n", "f.csv, line 2 has 4 cells"),
        ("f.csv", HEAD + "2026-10,NOK,1\n10/2026,NOK,1\n", 'f.csv, line 3: a period must be written as "2026-10"'),
        ("f.csv", HEAD + "2026-10,NOK,1\n2026-10,nok,2\n", "f.csv, line 3: 2026-10 NOK stands there twice"),
        ("f.csv", HEAD + "2026-10,kr,1\n", "f.csv, line 2: a currency must be a code"),
        ("f.csv", HEAD + "2026-10,,1\n", "f.csv, line 2: a currency must be a code"),
        ("f.csv", HEAD + '2026-10,NOK,"1,5"\n', "f.csv, line 2: the amount is no exact number"),
        ("f.csv", HEAD.replace(",", ";") + "2026-10;NOK;1.234,50\n", "the amount is no exact number"),
        ("f.csv", HEAD + "2026-10,NOK,1 000\n", "the amount is no exact number"),
        ("f.csv", HEAD + "2026-10,NOK,\n", "the amount is no exact number"),
        ("f.csv", HEAD + '2026-10,NOK,"1', "line 2 cannot be read as CSV"),
        ("f.json", "", "f.json must be JSON"),
        ("f.json", "[1]", "f.json must be JSON"),
        ("f.json", '[{"period": "2026-10", "currency": "NOK"}]', "f.json must be JSON"),
        ("f.json", '[{"period": "2026-10", "currency": "NOK", "amount": null}]', "f.json, item 1: the amount"),
        ("f.json", '{"2026-10": "1"}', "f.json: figures must be written as"),
        ("f.json", '{"2026-10": {"NOK": true}}', "f.json, 2026-10 NOK: the amount is no exact number"),
        ("f.json", '{"2026-10": {"NOK": "1e31"}}', "the amount is of an absurd size"),
        ("f.json", '{"2026-10": {"NOK": 1e99}}', "f.json must be JSON"),
        ("f.json", "{}", "against has no figures"),
    ],
)
def test_typo_in_file_is_reported_with_its_location(tmp_path, name, text, says):
    """File, line and what is wrong; a doubtful amount is never guessed at."""
    (tmp_path / name).write_text(text, encoding="utf-8")
    with pytest.raises(ArmConfigurationError) as caught:
        read_figure_file(tmp_path / name, Period.MONTH)
    assert says in str(caught.value)


def test_a_file_that_is_something_else_is_told(tmp_path):
    """Not UTF-8, or too large to be figures: it is not read whole."""
    (tmp_path / "f.csv").write_bytes(HEAD.encode() + b"2026-10,NOK,1\xf8\n")
    with pytest.raises(ArmConfigurationError, match=r"f\.csv is not UTF-8"):
        read_figure_file(tmp_path / "f.csv", Period.MONTH)
    (tmp_path / "f.csv").write_bytes(b" " * (MAX_FILE_SIZE + 1))
    with pytest.raises(ArmConfigurationError, match=r"f\.csv is too large"):
        read_figure_file(tmp_path / "f.csv", Period.MONTH)


@pytest.mark.parametrize(
    ("given_figures", "says"),
    [
        ({"2026-10": {"NOK": 124.37}}, "against, 2026-10 NOK: the amount is no exact number"),
        ({"2026-10": {"NOK": Decimal("NaN")}}, "no exact number"),
        ({"2026-10": {"NOK": Decimal(10) ** 31}}, "absurd size"),
        ({"2026-10": {"NOK": Decimal("1." + "3" * 60)}}, "absurd size"),
        ({"2026-10": {1: "1"}}, "a currency must be"),
        ({"NOK": "1"}, "figures must be written as"),
        ({}, "against has no figures"),
    ],
)
def test_typo_in_dag_is_reported(given_figures, says):
    """No float is ever taken for an amount."""
    with pytest.raises(ArmConfigurationError, match=says):
        read_figures(given_figures, Period.MONTH)


@given(amount=amounts)
def test_what_a_table_shows_has_every_digit(amount):
    """Thousands stand apart, two places at least, and the digits are those of the amount."""
    shown = format_amount(amount)
    assert parse_amount(shown.replace("\N{NO-BREAK SPACE}", "")) == amount
    whole, places = shown.split(".")
    assert len(places) >= 2
    groups = whole.lstrip("-").split("\N{NO-BREAK SPACE}")
    assert 1 <= len(groups[0]) <= 3
    assert {len(group) for group in groups[1:]} <= {3}
