"""Tools: an argument in, an Observation out; search backends and what wraps them."""
