"""Which events concern whom, and where in the chain those that somebody waits for stand."""
