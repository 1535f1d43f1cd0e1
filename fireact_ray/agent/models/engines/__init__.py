"""Local inference engines."""
