"""Incremental exports: the records that are new or changed since the previous run, and the watermark."""
