"""``submission.planning.postings``: all postings are read and validated before any is sent."""

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


def test_postings_are_returned_as_they_are_sent(tmp_path):
    """In order, with all digits and fields, but without the remarks of a rejects file."""
    path = tmp_path / "set.jsonl"
    path.write_text('{"kid": "1", "currencyAmount": 24.370}\n\n{"_row": 7, "options": ["x"]}\n', encoding="utf-8")
    read = read_postings(FileSource(path, str(path), AutoPosting, "autoPostings"), POSTINGS)
    assert read == [{"kid": "1", "currencyAmount": Decimal("24.370")}, {"options": ["x"]}]
    assert str(read[0]["currencyAmount"]) == "24.370"


@pytest.mark.parametrize("count", [1, 20, 21, 500])
def test_all_invalid_rows_are_counted_and_the_first_are_listed(count):
    """The message shows no value."""
    rows = [{"kid": "1"}, *[{"options": CANARY, "text": CANARY}] * count]
    with pytest.raises(SourceError) as caught:
        read_postings(ListSource(rows), POSTINGS)
    message = str(caught.value)
    assert "invalid and nothing was sent: row 2, column options: must be a list" in message
    assert message.startswith(f"records: {count} row{'s are' if count > 1 else ' is'} ")
    assert (f"and {count - 20} more rows" in message) == (count > 20)
    assert len(caught.value.errors) == min(count, 20)
    assert CANARY not in message


@pytest.mark.parametrize("value", [0.1, float("nan"), Decimal("Infinity"), "\ud800", {"deep": [0.1]}])
def test_value_that_cannot_be_sent_exactly_raises(value):
    """In a field that is not in the model, too."""
    with pytest.raises(SourceError, match=r"row 1(: |, column )amount"):
        read_postings(ListSource([{"amount": value}]), POSTINGS)


def test_empty_source_raises():
    """There is nothing to send."""
    with pytest.raises(SourceError, match="has no records"):
        read_postings(ListSource([]), POSTINGS)
