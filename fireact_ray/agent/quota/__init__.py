"""Decide whether a model call may be made now, later or never."""
