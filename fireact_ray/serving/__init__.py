"""An Agent in, an HTTP endpoint out."""
