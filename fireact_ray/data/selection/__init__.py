"""Decide which trajectories are trained on."""
