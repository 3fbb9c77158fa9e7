"""What is written down of each chunk before and after it is sent."""
