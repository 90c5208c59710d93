"""Hosts of our own: one network namespace for each node, lines between them, and what breaks both.

`Lab` is what tests use. Behind it runs one agent process in namespaces that nobody else sees; when
it ends, however it ends, the kernel takes hosts, links and processes with it.
"""
