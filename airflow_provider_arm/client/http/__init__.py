"""One HTTP call to ARM: URLs, token, attempts, errors. Shared by both clients."""
