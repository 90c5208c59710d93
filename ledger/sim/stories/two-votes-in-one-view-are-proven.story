# A validator that signs two votes in one view has given everybody the proof. It comes onto the chain
# with the institution that answers for it, and everything goes on.
network 4 validators proposer_term=1
start all
liar D double-vote
submit A x 5 as some
expect final all within 60s
expect accused D equivocation within 60s
audit
