# A member votes at heights that nobody has reached and claims a chain of a trillion blocks. The others
# ask it for them, get nothing, and leave it alone.
network 4 validators
start all
submit A as before
expect final before within 10s
liar D huge-height false-heads
run 10s
submit A x 3 as one
expect final all within 30s
crash B
run 2s
submit A as two
start B
expect same block on A B C within 60s
