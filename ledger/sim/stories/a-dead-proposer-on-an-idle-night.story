# The proposer dies while nothing is to be done.
# Nobody has submitted anything, yet the others notice within an empty-block interval and a view.
network 4 validators
start all
run 40s
let dead = proposer
crash dead
expect blocks 1 within 90s
