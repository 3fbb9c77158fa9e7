"""The manifest of an export: written, verified, merged."""
