"""From records to checked chunks, before anything is sent."""
