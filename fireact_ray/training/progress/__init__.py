"""What a training says of itself: entries, their curve, and whoever else is told. Needs no torch."""
