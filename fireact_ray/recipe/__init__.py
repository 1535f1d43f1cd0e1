"""YAML in, checked settings and the objects they describe out."""
