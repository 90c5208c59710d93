# A hospital lost its disk and starts from nothing. It must not vote where it may have voted before, and
# it gets everything back from the others.
network 4 validators
start all
submit A x 3 as a
expect final all within 20s
crash D
wipe D
run 5s
start D
submit A as b
expect final b within 30s
expect same block on all within 2min
