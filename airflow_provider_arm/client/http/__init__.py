"""One HTTP call to ARM: addresses, token, attempts, errors. Shared by both clients."""
