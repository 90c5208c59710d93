# One member shows a certificate that nobody made whenever the view changes. It is signed, so that the
# lie itself becomes the evidence.
network 4 validators proposer_term=1
start all
submit A as before
expect final before within 10s
liar D forge-lock
let dead = proposer
crash dead
submit B x 5 as one
run 2s
submit B x 5 as two
expect told D forge-lock within 60s
start dead
settle
expect final all within 60s
expect accused D unproven-prepared within 2min
