# Somebody puts back yesterday's copy of the store. The node must not sign anything twice.
network 4 validators
start all
submit A as one
expect final one within 10s
backup C
submit A x 3 as two
expect final all within 20s
stop C
restore C
start C
submit B as three
expect final three within 30s
expect same block on all within 2min
