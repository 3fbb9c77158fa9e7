"""Output files: JSON lines, CSV and Parquet."""
