"""Telling systems elsewhere of events: who wants to know, and getting it there."""
