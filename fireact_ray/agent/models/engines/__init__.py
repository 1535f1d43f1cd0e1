"""Engines that generate text from token ids on this machine."""
