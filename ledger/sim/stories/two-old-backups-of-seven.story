# Two of seven are put back at once.
network 7 validators
start all
submit A as one
expect final one within 10s
backup C F
submit A x 3 as two
expect final all within 20s
crash C F
restore C F
start C F
submit B as three
expect final three within 60s
expect same block on all within 3min
