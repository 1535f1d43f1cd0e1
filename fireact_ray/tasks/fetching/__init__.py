"""Data of tasks: where it comes from, how it arrives whole, what is there."""
