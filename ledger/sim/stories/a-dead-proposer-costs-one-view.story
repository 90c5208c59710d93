# A proposer that stops for good costs one change of the view, not one in every four blocks.
network 4 validators
start all
submit A as first
expect final first within 10s
let dead = proposer
power-off dead
let witness = proposer
run 1s
submit A x 3 as later
submit B x 3 as also
submit C x 3 as too
submit D x 3 as so
run 30s
start dead
