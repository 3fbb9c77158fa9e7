"""What ARM made of the records: outcome, rejects, and when to stop waiting."""
