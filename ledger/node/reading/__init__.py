"""Lists over the whole chain, out of an index that a node keeps beside its store.

The store answers what one entry is; it cannot list what one person has opened. The index can: it
holds for each access, emergency, consent and finding one narrow row, and is derived from the state
alone, so it can be thrown away and made anew on any node, whatever was pruned of the blocks.
"""
