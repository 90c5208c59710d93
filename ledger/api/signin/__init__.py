"""Who talks to the node: staff, systems, patients and operators, and what they may touch at all.

Each way of signing in ends in a `Principal`. It is the outer fence only: who may see what for which
purpose is decided by the contracts on the chain.
"""
