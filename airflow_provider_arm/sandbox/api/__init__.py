"""The sandbox's handlers, one module per subject of ARM's API."""
