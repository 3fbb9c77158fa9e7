"""Limits of a submission's arguments. Light to import."""

from __future__ import annotations

#: Records per batch that ARM is assumed to accept at most (Q16).
MAX_CHUNK_SIZE = 1000
#: Batches that may be on their way to ARM at once: more connections do not make ARM faster.
MAX_IN_FLIGHT = 32
