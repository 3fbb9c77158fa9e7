"""A sandbox and a client with the same profile do the whole round; with different ones nothing is falsely green."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings

from airflow_provider_arm.client.errors import ArmError
from airflow_provider_arm.client.readings import Readings
from airflow_provider_arm.sandbox import ArmSandbox
from tests.readings.profiles import is_success, profiles, run_round

if TYPE_CHECKING:
    import pytest

#: Random profiles; ``ARM_PROFILES=5000`` tries more.
EXAMPLES = int(os.environ.get("ARM_PROFILES", "100"))
_SETTINGS = settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
ITEMS = 60


def round_with(sandbox: dict[str, Any], client: dict[str, Any]) -> Any:
    """Do one round; return its result or the error."""
    with (
        ArmSandbox(ar_items=ITEMS, customers=10, batch_delay=0, readings=sandbox) as box,
        tempfile.TemporaryDirectory() as folder,
    ):
        try:
            return run_round(box, Readings.parse(client), Path(folder))
        except ArmError as error:
            return error


@given(profiles())
@_SETTINGS
def test_same_profile_does_the_whole_round(profile: dict[str, Any]) -> None:
    """Upsert, batches, waits, exports with a split, increments, reconciliation and watcher."""
    result = round_with(profile, profile)
    assert not isinstance(result, ArmError), (profile, str(result))
    assert is_success(result), (profile, result)


@given(profiles(), profiles())
@_SETTINGS
def test_different_profiles_are_never_falsely_green(theirs: dict[str, Any], ours: dict[str, Any]) -> None:
    """The round succeeds with the right numbers, or it fails: no batch is finished too early, no row is missing."""
    result = round_with(theirs, ours)
    if isinstance(result, ArmError):
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
    assert is_success(round_with(words, words))
