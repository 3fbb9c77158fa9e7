"""Validation of records and their division into chunks, before anything is sent."""
