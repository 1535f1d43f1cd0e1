"""Recorded trajectories of anybody in, their scores computed anew out."""
