"""The world without key or GPU: a scripted teacher and a nano Llama."""
