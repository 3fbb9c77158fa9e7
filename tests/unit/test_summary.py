"""The line with which a task ends."""

from __future__ import annotations

import pytest

from airflow_provider_arm.summary import FAILED, SUCCESS, count_text, percent_text, summary_line


@pytest.mark.parametrize(
    ("number", "noun", "text"),
    [
        (0, "customer", "0 customers"),
        (1, "customer", "1 customer"),
        (1200, "customer", "1200 customers"),
        (12_345, "AR item", "12,345 AR items"),
        (1, "batch", "1 batch"),
        (3, "batch", "3 batches"),
        (None, "record", "an unknown number of records"),
    ],
)
def test_count_has_the_right_plural_and_separators(number, noun, text):
    """From 10,000 on, digits are grouped."""
    assert count_text(number, noun) == text


@pytest.mark.parametrize(
    ("part", "total", "text"),
    [(7, 1200, "0.6 %"), (1, 2, "50 %"), (3, 3, "100 %"), (1, 12_345, "<0.1 %"), (0, 5, "0 %"), (1, 3, "33.3 %")],
)
def test_share_has_one_decimal_and_is_never_rounded_to_nothing(part, total, text):
    """A reject of many records is not 0 %."""
    assert percent_text(part, total) == text


def test_line_has_subject_outcome_and_details():
    """Missing details are omitted."""
    assert summary_line("2 files", SUCCESS, None, "", "a", "b") == "2 files: success; a; b"
    assert summary_line("2 files", FAILED) == "2 files: failed"
