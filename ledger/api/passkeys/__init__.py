"""Patients' passkeys: registering one, signing in with one. What they sign is on the chain."""
