# A proposer breaks another rule with each block: roots, parents, times, transactions.
network 4 validators proposer_term=1 view_timeout=500
start all
liar D invalid-block
submit A x 20 as one
run 10s
submit B x 20 as two
run 10s
submit C x 20 as three
expect final all within 3min
expect told D invalid-block
audit
