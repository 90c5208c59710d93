# One hospital is behind a line of half a second each way. The others do not wait for it.
network 4 validators
start all
line D | A B C delay=1000ms
submit A x 3 as a
expect final all within 20s
submit D as d
expect final d within 60s
