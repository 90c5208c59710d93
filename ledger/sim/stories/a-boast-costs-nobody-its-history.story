# A boast costs nobody its history.
#
# D claims a chain of endless length, and gives out blocks and snapshots like everybody else. A node that
# was away for a moment takes the few blocks that it lacks: a snapshot would make it forget all before.
network 4 validators 1 followers seed 2 empty_block_interval=1000
start all
submit A as early
expect final early within 30s
run 5s
liar D false-heads
partition A | B C D f1
run 5s
submit B as missed
expect final missed within 30s
heal
run 10s
pause A
run 5s
resume A
run 10s
stop A
run 5s
start A
expect same block on A B C f1 within 3min
expect base = 0 on A B C f1
submit A as late
expect final late within 60s
audit
