"""Trajectories in, a Report out."""
