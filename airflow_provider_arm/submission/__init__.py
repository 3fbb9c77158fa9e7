"""Submission of batches: plan -> journal -> send -> wait -> outcome. Uses the client; does not import Airflow.

Importing this package loads nothing heavy.
"""
