# Two of four are gone. Nothing is committed, and status says who is missing.
network 4 validators
start A B C
submit A as before
expect final before within 20s
crash C
submit A as during
expect standstill for 20s
expect pending during
expect reason A "Quorum lost: 2 of 4"
expect stalled A
start C
expect final during within 60s
