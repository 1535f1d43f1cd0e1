"""Experiments: what is compared with what, as cells of recipes, and which work they share."""
