"""Airflow connections of type ``arm``."""
