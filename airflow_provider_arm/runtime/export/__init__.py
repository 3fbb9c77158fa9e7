"""Code that the export operators share inside a task."""
