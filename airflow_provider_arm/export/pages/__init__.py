"""Pages of lists: their records, stats, text and columns."""
