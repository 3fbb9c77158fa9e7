"""Reading one page: its records, totals, keys and columns."""
