# The proposer's disk is full: it cannot promise anything, so another one must take over.
network 4 validators
start all
submit A as one
expect final one within 10s
let stuck = proposer
disk stuck full
submit A as two
submit B as three
submit C as four
submit D as five
run 30s
disk stuck room
expect final all within 2min
