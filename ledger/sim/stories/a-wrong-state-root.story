# A proposer puts a state root into its blocks that no execution gives. Each is refused by everybody
# who executes it, and the chain names the proposer once f+1 have said so.
network 4 validators proposer_term=1
start all
submit A as before
expect final before within 10s
let bad = proposer
liar bad invalid-state-root
submit A x 8 as one
expect final all within 2min
expect told bad invalid-state-root
expect accused bad invalid-proposal within 2min
audit
