"""A stand-in for Amili's ARM API on a real socket: seeded, scriptable, and able to prove what a client did.

>>> from airflow_provider_arm.sandbox import ArmSandbox
>>> with ArmSandbox(seed=7, ar_items=200) as box:
...     box.base_url
'http://127.0.0.1:.../arm/v1'

Importing this package loads nothing heavy: the server is loaded when ``ArmSandbox`` is first asked for.
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
