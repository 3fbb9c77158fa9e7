"""A test that fails on personal data. Not collected: ``test_observer.py`` runs it to see what is printed."""

from __future__ import annotations


def test_names(arm):
    """Print and compare records of customers."""
    people = arm.wire.get("customers").object["customers"]
    print(people)  # noqa: T201 - what is printed is tested
    assert people == arm.wire.token
