"""`status --watch`: everything that goes on, as it changes."""
