"""Decisions about access, found on a chain and explained to those whom they are about."""
