# All machines stand still at once and go on: no time has passed for any of them, and nothing breaks.
network 4 validators
start all
submit A as one
pause all
run 5min
resume all
expect final one within 60s
