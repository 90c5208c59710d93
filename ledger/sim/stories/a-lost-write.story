# A node loses power before any of its last write has reached the disk.
network 4 validators
start all
submit A as one
crash D mid-commit nothing after 2
expect final one within 10s
submit A as two
run 10s
start D
expect same block on all within 30s
