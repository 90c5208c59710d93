# A disk said that the last block was written, and it was not.
network 4 validators
start all
submit A x 2 as a
expect final all within 20s
stop B
disk B torn
start B
submit A as b
expect final b within 60s
