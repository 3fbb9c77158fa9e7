"""State of the sandbox: records, clock, effects, switches, faults, request log."""
