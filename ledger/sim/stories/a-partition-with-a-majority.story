# One hospital is cut off. The other three go on; it says so, and catches up when the line is back.
network 4 validators
start all
partition A B C | D
submit A x 3 as t
expect final all within 30s
expect reason D "Quorum lost" within 30s
run 20s
heal
expect same block on all within 30s
expect committing D within 30s
