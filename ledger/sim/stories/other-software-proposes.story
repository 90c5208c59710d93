# The proposer's blocks are what other software computes. The others refuse them and say so.
network 4 validators proposer_term=1
start all
submit A as before
expect final before within 10s
let bad = proposer
liar bad invalid-odd-machine false-outcomes
submit A x 8 as one
expect final all within 2min
expect told bad invalid-odd-machine
expect accused bad invalid-proposal within 2min
