"""Writing JSON lines, CSV and Parquet."""
