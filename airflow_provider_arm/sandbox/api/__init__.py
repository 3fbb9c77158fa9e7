"""Request handlers of ARM's API, one module per subject."""
