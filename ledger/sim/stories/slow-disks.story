# Every write of two hospitals takes a quarter of a second.
network 4 validators
start all
disk B slow 250ms
disk C slow 250ms
submit A x 3 as a
submit B x 3 as b
expect final all within 2min
