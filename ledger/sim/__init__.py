"""A whole consortium in one process, from one seed: the real classes in a simulated world."""
