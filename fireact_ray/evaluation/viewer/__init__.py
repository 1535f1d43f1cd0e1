"""Trajectories to look at: one or several systems in, one HTML page out that needs no server and no network."""
