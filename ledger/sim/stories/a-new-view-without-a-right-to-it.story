# A member starts views with blocks of its own choice and counts view changes that nobody made.
network 4 validators proposer_term=1
start all
liar C unjustified rush
submit A x 5 as one
run 5s
crash A
submit B x 3 as two
run 10s
start A
settle
expect final all within 60s
expect told C unjustified
audit
