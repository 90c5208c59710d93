# A proposer's blocks are dated a year ahead. Clocks alone decide about that, so nobody is accused.
network 4 validators proposer_term=1
start all
submit A as before
expect final before within 10s
let bad = proposer
liar bad invalid-future
submit A x 8 as one
expect final all within 2min
expect told bad invalid-future
audit
