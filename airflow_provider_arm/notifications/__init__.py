"""Notifiers for task callbacks."""
