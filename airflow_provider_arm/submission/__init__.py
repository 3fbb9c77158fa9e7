"""Submitting batches: plan -> journal -> send -> wait -> outcome. Knows the client, nothing of Airflow.

Importing this package loads nothing heavy.
"""
