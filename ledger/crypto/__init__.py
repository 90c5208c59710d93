"""Keys, signatures and hashes. Depends on nothing else of this project."""
