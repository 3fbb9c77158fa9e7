"""Randomness that spreads retries and polls in time, so that many tasks do not call ARM at the same moment."""

from __future__ import annotations

import random

#: Share of a poll interval by which a poll comes early, at random. Never late: the interval is what the DAG author set.
JITTER = 0.1


def random_fraction() -> float:
    """Return a random number in [0, 1)."""
    return random.random()  # noqa: S311 - spreads calls in time, protects nothing
