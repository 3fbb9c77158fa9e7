"""The ARM API in Python: clients, models, errors. Imports no Airflow.

Importing this package loads nothing heavy: the module of a client is loaded when the client is first used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.client.errors import (
    ArmAuthenticationError,
    ArmConfigurationError,
    ArmError,
    ArmIncompleteListError,
    ArmInvalidDataError,
    ArmInvalidResponseError,
    ArmNotFoundError,
    ArmPermissionError,
    ArmRateLimitError,
    ArmResultLimitError,
    ArmUnavailableError,
    ArmUnknownOutcomeError,
    ArmValidationError,
    FieldIssue,
    InvalidRecordError,
    Phase,
)

if TYPE_CHECKING:
    from airflow_provider_arm.client.arm_client import ArmClient
    from airflow_provider_arm.client.async_client import AsyncArmClient
    from airflow_provider_arm.client.batch_state import BatchState, BatchStatus
    from airflow_provider_arm.client.http.auth import ClientCredentials, StaticToken
    from airflow_provider_arm.client.http.transport import Transport
    from airflow_provider_arm.client.operations import Replay

_LAZY = {
    "ArmClient": "arm_client",
    "AsyncArmClient": "async_client",
    "BatchState": "batch_state",
    "BatchStatus": "batch_state",
    "ClientCredentials": "http.auth",
    "Replay": "operations",
    "StaticToken": "http.auth",
    "Transport": "http.transport",
}

__all__ = [
    "ArmAuthenticationError",
    "ArmClient",
    "ArmConfigurationError",
    "ArmError",
    "ArmIncompleteListError",
    "ArmInvalidDataError",
    "ArmInvalidResponseError",
    "ArmNotFoundError",
    "ArmPermissionError",
    "ArmRateLimitError",
    "ArmResultLimitError",
    "ArmUnavailableError",
    "ArmUnknownOutcomeError",
    "ArmValidationError",
    "AsyncArmClient",
    "BatchState",
    "BatchStatus",
    "ClientCredentials",
    "FieldIssue",
    "InvalidRecordError",
    "Phase",
    "Replay",
    "StaticToken",
    "Transport",
]


def __getattr__(name: str) -> Any:
    """Load a client, or a class that belongs to it, on first use."""
    if name in _LAZY:
        return getattr(import_module(f"{__name__}.{_LAZY[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
