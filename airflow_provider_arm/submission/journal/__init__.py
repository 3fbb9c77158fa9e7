"""Journal of a submission: the state of each chunk, written before and after it is sent."""
