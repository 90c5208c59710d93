"""PBFT as a sans-IO state machine: no socket, clock, disk or log call inside."""
