"""Chat models: turns in, a Completion out; clients of APIs, local engines, and what wraps them."""
