"""Links from a task to ARM."""
