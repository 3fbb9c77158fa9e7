"""Sources of records: lists, and .jsonl, .json, .csv and .parquet files."""
