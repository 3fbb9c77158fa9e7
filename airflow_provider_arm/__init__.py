"""Airflow provider for Amili's ARM API (accounts receivable)."""

__version__ = "0.1.0"
