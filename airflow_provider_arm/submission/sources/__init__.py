"""Records as they are read: from a list, or from a .jsonl, .json, .csv or .parquet file."""
