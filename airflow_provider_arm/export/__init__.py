"""Exporting lists: windows -> pages -> checks -> files -> manifest. Knows the client, nothing of Airflow.

Importing this package loads nothing heavy.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from airflow_provider_arm.export.fetch.date_window import DateWindow
from airflow_provider_arm.export.fetch.plan_windows import plan_windows
from airflow_provider_arm.export.manifest.errors import ArmExportMismatchError

if TYPE_CHECKING:
    from airflow_provider_arm.export.manifest.check import check_export

__all__ = ["ArmExportMismatchError", "DateWindow", "check_export", "plan_windows"]


def __getattr__(name: str) -> Any:
    """Import ``check_export``, which needs the models, when it is first accessed."""
    if name == "check_export":
        return import_module(f"{__name__}.manifest.check").check_export
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
