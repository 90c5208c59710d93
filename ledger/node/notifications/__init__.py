"""Telling patients what happens with their records."""
