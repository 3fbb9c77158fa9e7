"""The page at ``/``."""

from __future__ import annotations

from importlib.resources import files

#: The whole page: one file, no build step, nothing loaded from elsewhere.
HTML = files("airflow_provider_arm.sandbox").joinpath("page.html").read_bytes()
