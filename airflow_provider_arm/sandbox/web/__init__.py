"""The sandbox over HTTP: server protocol, injected faults, admin paths, page."""
