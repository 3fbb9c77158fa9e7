"""Incremental exports: only what is new since a mark that moves forward with each whole run."""
