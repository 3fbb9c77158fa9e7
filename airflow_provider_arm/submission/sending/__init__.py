"""Sending chunks so that none is processed twice, whatever fails."""
