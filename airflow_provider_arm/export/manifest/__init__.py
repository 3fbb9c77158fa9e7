"""Manifests of exports: written, verified and merged."""
