from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.keys import fold


@pytest.mark.parametrize(("first", "second"), [("INV-1a", "inv-1A"), ("ÆØÅ", "æøå"), ("STRASSE", "straße")])
def test_keys_that_differ_only_by_case_are_equal(first: str, second: str) -> None:
    """ARM treats them as one key."""
    assert fold(first) == fold(second)


@pytest.mark.parametrize(("first", "second"), [("1", "01"), ("a b", "ab"), (" a", "a"), ("a-b", "ab")])
def test_keys_that_differ_by_more_than_case_are_not_equal(first: str, second: str) -> None:
    """White space, zeros and punctuation count."""
    assert fold(first) != fold(second)


@settings(deadline=None)
@given(st.text())
def test_folding_twice_changes_nothing(text: str) -> None:
    """A stored folded key can be folded again."""
    assert fold(fold(text)) == fold(text)
