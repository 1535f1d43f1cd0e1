"""Runs as jobs of a cluster: submitted from outside, checked and told of from within."""
