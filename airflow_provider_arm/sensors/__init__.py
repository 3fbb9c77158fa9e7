"""Airflow sensors for ARM."""
