"""Fixtures of the tests of faults: a running sandbox."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_arm.sandbox import ArmSandbox

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def running() -> Iterator[ArmSandbox]:
    """Yield one server for the tests of a module."""
    with ArmSandbox(seed=7, ar_items=60, batch_delay=0) as box:
        yield box


@pytest.fixture
def box(running: ArmSandbox) -> ArmSandbox:
    """Return the server after a reset."""
    running.reset()
    return running
