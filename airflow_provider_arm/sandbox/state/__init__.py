"""What the sandbox keeps: records, clock, effects, switches, faults, requests."""
