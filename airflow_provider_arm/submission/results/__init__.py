"""Results of a submission: counts, rejects, reject policy, and when to poll a batch."""
