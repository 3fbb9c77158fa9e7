"""The sandbox over HTTP: server protocol, fault injection, admin paths, web page."""
