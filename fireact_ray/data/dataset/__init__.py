"""The training set of a run: its rows, its card, its folder."""
