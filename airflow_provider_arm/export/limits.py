"""Default and limit of the workers of an export. Loads nothing heavy."""

from __future__ import annotations

#: Pages fetched in parallel by default: at 50 ms per response, eight keep one core busy.
DEFAULT_WORKERS = 8
#: More connections to one service are a burden for it, and make the export no faster.
MAX_WORKERS = 32
