"""The Ray actors of a run."""
