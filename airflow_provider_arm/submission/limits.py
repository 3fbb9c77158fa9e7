"""Limits of a submission's arguments, in a module that imports nothing."""

from __future__ import annotations

#: Records per batch at most, whatever the readings profile permits (``batch.max_records``): the parse-time check does
#: not know the profile.
MAX_CHUNK_SIZE = 100_000
#: Batches in flight at most: more connections do not make ARM faster.
MAX_IN_FLIGHT = 32
