"""YAML to settings to objects."""
