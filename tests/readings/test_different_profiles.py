"""A sandbox and a client with different profiles: nothing is falsely green."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from airflow_provider_arm.client.errors import ArmError
from airflow_provider_arm.client.readings import ENTRIES
from tests.readings.profiles import SETTINGS, TIMEOUT, is_success, profiles, round_with

#: Entries, and the section whose entries are all names of fields.
NAMES = [*ENTRIES, "gl_items."]


@pytest.mark.timeout(TIMEOUT)
@given(profiles(), profiles())
@SETTINGS
def test_different_profiles_are_never_falsely_green(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    """The round succeeds with the right numbers, or it fails and names the entry: no batch is finished too early."""
    result = round_with(theirs, ours)
    if isinstance(result, ArmError):
        assert any(name in str(result) for name in NAMES), (theirs, ours, str(result))
        return
    assert is_success(result), (theirs, ours, result)


def test_word_that_the_profile_lacks_is_named_when_the_wait_times_out(caplog: pytest.LogCaptureFixture) -> None:
    """The log and the error have the word and the entry that would name it; with the entry the round succeeds."""
    words = {"batch": {"success_words": ["COMPLETED"], "partial_words": ["HALFDONE"]}}
    error = round_with(words, {})
    assert isinstance(error, ArmError)
    for text in (caplog.text, str(error)):
        assert "unknown status HALFDONE (add it to one of batch.pending_words, success_words, partial_words" in text
    assert "continues to process" not in str(error)
    mended = round_with(words, words)
    assert not isinstance(mended, ArmError)
    assert is_success(mended)
