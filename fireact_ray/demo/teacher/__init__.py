"""The scripted teacher: an OpenAI-compatible server that stands in for a large model, without a key."""
