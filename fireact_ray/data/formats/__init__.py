"""Trajectory files of others, read and written."""
