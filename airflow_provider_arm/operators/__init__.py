"""Airflow operators for ARM."""
