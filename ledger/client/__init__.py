"""Building transactions, talking to a node, and verifying what it answers."""
