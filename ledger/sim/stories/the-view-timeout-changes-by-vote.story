# Consensus parameters are on the chain and nowhere else: they change for everybody at one block.
network 4 validators
start all
vote parameter view_timeout=500 in 5 blocks
run 4min
let dead = proposer
crash dead
run 20s
start dead
expect same block on all within 60s
