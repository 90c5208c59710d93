# A proposer gives one half of the others one block and the other half another one. Neither gets a
# quorum, the view changes, and the two halves find out as soon as they compare what they heard.
network 4 validators proposer_term=1
start all
submit A as before
expect final before within 10s
let liar = proposer
liar liar equivocate
submit A x 6 as during
submit B x 6 as also
expect final all within 60s
expect told liar equivocate
audit
