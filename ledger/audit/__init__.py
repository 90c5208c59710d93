"""Offline verification. Needs crypto, chain and contracts, never node or api."""
