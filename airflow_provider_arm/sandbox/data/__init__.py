"""Seed data: synthetic customers, ledgers and edge cases."""
