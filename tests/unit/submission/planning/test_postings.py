"""A set is read whole and checked whole, before anything of it is sent."""

from __future__ import annotations

from decimal import Decimal

import pytest

from airflow_provider_arm.client.models import AutoPosting
from airflow_provider_arm.client.operations import OPERATIONS
from airflow_provider_arm.submission.errors import SourceError
from airflow_provider_arm.submission.planning.postings import read_postings
from airflow_provider_arm.submission.sources.source import FileSource, ListSource
from tests.unit.submission.records import CANARY

POSTINGS = OPERATIONS["create_auto_postings"]


def test_a_set_comes_as_it_goes_on_the_wire(tmp_path):
    """In order, with every digit and every field; remarks of a rejects file stay behind."""
    path = tmp_path / "set.jsonl"
    path.write_text('{"kid": "1", "currencyAmount": 24.370}\n\n{"_row": 7, "options": ["x"]}\n', encoding="utf-8")
    read = read_postings(FileSource(path, str(path), AutoPosting, "autoPostings"), POSTINGS)
    assert read == [{"kid": "1", "currencyAmount": Decimal("24.370")}, {"options": ["x"]}]
    assert str(read[0]["currencyAmount"]) == "24.370"


@pytest.mark.parametrize("count", [1, 20, 21, 500])
def test_all_wrong_rows_are_counted_and_the_first_are_named(count):
    """A person mends the file once; no value is shown."""
    rows = [{"kid": "1"}, *[{"options": CANARY, "text": CANARY}] * count]
    with pytest.raises(SourceError) as caught:
        read_postings(ListSource(rows), POSTINGS)
    message = str(caught.value)
    assert f"{count} rows do not fit and nothing was sent: row 2, column options: must be a list" in message
    assert (f"and {count - 20} more rows" in message) == (count > 20)
    assert len(caught.value.errors) == min(count, 20)
    assert CANARY not in message


@pytest.mark.parametrize("value", [0.1, float("nan"), Decimal("Infinity"), "\ud800", {"deep": [0.1]}])
def test_what_cannot_go_out_exactly_is_refused_with_its_place(value):
    """In a field that no model knows, too."""
    with pytest.raises(SourceError, match="row 1: amount"):
        read_postings(ListSource([{"amount": value}]), POSTINGS)


def test_an_empty_set_is_an_error():
    """There is nothing to send."""
    with pytest.raises(SourceError, match="has no records"):
        read_postings(ListSource([]), POSTINGS)
