"""Exporting lists: windows -> pages -> checks -> files -> manifest. Knows the client, nothing of Airflow.

Importing this package loads nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.export.fetch.date_window import DateWindow
from airflow_provider_arm.export.fetch.plan_windows import plan_windows

if TYPE_CHECKING:
    from airflow_provider_arm.export.manifest.check import check_export
    from airflow_provider_arm.export.manifest.verify import ArmExportMismatchError

__all__ = ["ArmExportMismatchError", "DateWindow", "check_export", "plan_windows"]

_LAZY = {"ArmExportMismatchError": "verify", "check_export": "check"}


def __getattr__(name: str) -> Any:
    """Load what needs the models when it is asked for."""
    if name in _LAZY:
        return getattr(import_module(f"{__name__}.manifest.{_LAZY[name]}"), name)
    msg = f"module {__name__!r} has no attribute {name!r}"
    raise AttributeError(msg)
