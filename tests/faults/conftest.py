"""A running sandbox, for tests of what goes wrong on the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from airflow_provider_arm.sandbox import ArmSandbox

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def running() -> Iterator[ArmSandbox]:
    """One server for the tests of a module."""
    with ArmSandbox(seed=7, ar_items=60) as box:
        yield box


@pytest.fixture
def box(running: ArmSandbox) -> ArmSandbox:
    """The server, as freshly started."""
    running.reset()
    return running
