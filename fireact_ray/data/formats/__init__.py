"""Trajectory files of other projects, read and written."""
