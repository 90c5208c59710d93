"""Scenarios: the typical day of a consortium, told so that a clinician can read it, and played."""
