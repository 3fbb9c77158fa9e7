"""Exporting lists: windows -> pages -> checks -> writers -> manifest. Knows the client, nothing of Airflow.

Importing this package loads nothing heavy.
"""

from __future__ import annotations

from airflow_provider_arm.export.windows import DateWindow

__all__ = ["DateWindow"]
