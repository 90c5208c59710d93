# The same with the node that was proposing, while the others wait for it.
network 4 validators
start all
submit A as one
expect final one within 10s
let leader = proposer
backup leader
submit A x 2 as two
expect final all within 20s
crash leader
restore leader
start leader
submit A as three
run 30s
expect same block on all within 2min
