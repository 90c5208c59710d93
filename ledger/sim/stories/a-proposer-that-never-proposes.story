# A validator votes like everybody and proposes nothing. Its turns cost one view each.
network 4 validators proposer_term=1
start all
submit A as before
expect final before within 10s
let silent = proposer
liar silent withhold-proposals
submit A x 10 as one
expect final all within 2min
expect told silent withhold-proposals
