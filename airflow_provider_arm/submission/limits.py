"""Limits of a submission's arguments, in a module that imports nothing."""

from __future__ import annotations

#: Records per batch that ARM is assumed to accept at most (Q16).
MAX_CHUNK_SIZE = 1000
#: Batches in flight at most: more connections do not make ARM faster.
MAX_IN_FLIGHT = 32
