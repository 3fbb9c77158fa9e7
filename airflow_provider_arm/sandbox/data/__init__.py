"""Seed data: synthetic people, ledgers and edge cases."""
