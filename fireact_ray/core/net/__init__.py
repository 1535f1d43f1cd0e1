"""HTTP with bounds, and many small calls over one connection to another process."""
