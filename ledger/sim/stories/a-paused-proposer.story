# The proposer stands still, and goes on when others have decided without it.
network 4 validators
start all
submit A as one
expect final one within 10s
let still = proposer
pause still
submit A as two
submit B as three
submit C as four
submit D as five
run 20s
resume still
expect final all within 60s
expect same block on all within 30s
