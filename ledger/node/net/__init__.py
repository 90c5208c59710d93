"""Between nodes: who may connect, the frames on the wire, and the connections that carry them."""
