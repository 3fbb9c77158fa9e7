"""A sandbox and a client with the same profile do the whole round."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given

from airflow_provider_arm.client.errors import ArmError
from tests.readings.profiles import SETTINGS, TIMEOUT, is_success, profiles, round_with


@pytest.mark.timeout(TIMEOUT)
@given(profiles())
@SETTINGS
def test_same_profile_does_the_whole_round(profile: dict[str, Any]) -> None:
    """Upsert, batches, waits, exports with a split, increments, reconciliation and watcher."""
    result = round_with(profile, profile)
    assert not isinstance(result, ArmError), (profile, str(result))
    assert is_success(result), (profile, result)
