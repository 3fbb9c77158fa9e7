"""What operators, sensors and links share inside a task."""
