"""A pseudorandom function whose key nobody holds: RFC 9497, the key shared t of n."""
