# A proposer puts transactions into its blocks that are on the chain already. Nothing is done twice.
network 4 validators proposer_term=1
start all
submit A x 4 as one
expect final all within 30s
liar D invalid-again
submit B x 6 as two
expect final all within 2min
expect told D invalid-again within 60s
audit
