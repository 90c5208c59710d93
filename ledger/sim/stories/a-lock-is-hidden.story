# The proposer is cut off again and again, so that views change with blocks prepared; one member leaves
# them as if it had seen nothing. What may be final somewhere is proposed again all the same.
network 4 validators proposer_term=1 view_timeout=500
start all
liar D hide-lock double-vote
line all loss=20%
submit A x 5 as one
run 5s
let lost = proposer
cut lost | A B
submit B x 5 as two
run 5s
heal
settle
expect final all within 60s
expect same block on A B C within 60s
audit
