"""What the export operators share inside a task."""
