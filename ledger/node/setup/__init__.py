"""Before a node runs: the network file, founding, and what a node finds in its home."""
