"""What triggers do in the triggerer. Loaded there only, off its event loop."""
