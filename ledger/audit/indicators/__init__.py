"""Indicators: what a chain shows of how well its members work together, small numbers hidden."""
