# The proposer computes other results than everybody else: its blocks are refused before anybody
# prepares them, and the others go on without it.
network 4 validators
start all
submit A as one
expect final one within 10s
let odd = proposer
software odd differs
submit A as two
submit B as three
submit C as four
submit D as five
run 60s
