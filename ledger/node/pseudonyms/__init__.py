"""Pseudonyms at a node: its shares of the keys, what it evaluates for others, and what it asks."""
