"""The web page of a served agent: ask, watch it search, compare two, take trajectories away."""
