"""Turn trajectories into training rows: formats, lint, selection, dataset."""
