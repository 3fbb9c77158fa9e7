"""Airflow triggers for ARM."""
