# The power fails in the whole county at once, in the middle of a block.
# Everything acknowledged before is there afterwards, and the consortium goes on by itself.
network 4 validators
start all
submit A x 4 as before
expect final all within 10s
submit B as during
run 10ms
power-off all
run 1min
start all
expect blocks 1 within 60s
expect same block on all within 30s
