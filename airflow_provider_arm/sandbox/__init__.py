"""A stand-in for Amili's ARM API: an HTTP server with seeded data, faults, and a log of all effects.

>>> from airflow_provider_arm.sandbox import ArmSandbox
>>> with ArmSandbox(seed=7, ar_items=200) as box:
...     box.base_url
'http://127.0.0.1:.../arm/v1'

The import of this package is cheap: the first access to ``ArmSandbox`` loads the server.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from airflow_provider_arm.sandbox.server import ArmSandbox

__all__ = ["ArmSandbox"]


def __getattr__(name: str) -> Any:
    if name == "ArmSandbox":
        from airflow_provider_arm.sandbox.server import ArmSandbox

        return ArmSandbox
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
