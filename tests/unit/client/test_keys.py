from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from airflow_provider_arm.client.keys import fold


@pytest.mark.parametrize(("first", "second"), [("INV-1a", "inv-1A"), ("ÆØÅ", "æøå"), ("STRASSE", "straße")])
def test_keys_that_differ_only_by_case_are_equal(first: str, second: str) -> None:
    """ARM treats them as one key."""
    assert fold(first) == fold(second)


@pytest.mark.parametrize(("first", "second"), [("1", "01"), ("a b", "ab"), ("a  b", "a b"), ("a-b", "ab"), ("a", "å")])
def test_keys_that_differ_visibly_are_not_equal(first: str, second: str) -> None:
    """White space inside, zeros, punctuation and accents count."""
    assert fold(first) != fold(second)


@pytest.mark.parametrize(
    "mark", [" ", "\u00a0", "\u202f", "\u3000", "\u200b", "\ufeff", "\t", "\u00ad", "\x00", "\u200e"]
)
def test_keys_that_differ_by_white_space_around_or_invisible_characters_are_equal(mark: str) -> None:
    """Whoever reads the two keys sees no difference."""
    assert fold(f"INV-1{mark}") == fold(f"{mark}inv-1") == fold("INV-1")
    assert fold(f"Å 1{mark}") == fold("A\u030a\u00a01")


@pytest.mark.parametrize("mark", ["\u200b", "\ufeff", "\u00ad", "\x00", "\u2060"])
def test_invisible_characters_inside_a_key_do_not_count(mark: str) -> None:
    """Wherever they are."""
    assert fold(f"INV{mark}-1") == fold("INV-1")


@settings(deadline=None)
@given(
    st.text() | st.text(st.characters(max_codepoint=0x20) | st.sampled_from("aÅ\u0345\u030a\u01c4\u1e9e\u200b \ufeff"))
)
def test_folding_twice_changes_nothing(text: str) -> None:
    """A stored folded key can be folded again."""
    assert fold(fold(text)) == fold(text)
