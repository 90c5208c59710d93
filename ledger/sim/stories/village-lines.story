# All lines are those of village health centres: 200 ms and 1 Mbit/s.
network 4 validators
start all
line all delay=200ms rate=1Mbit/s
submit A x 5 as a
submit C x 5 as c
expect final all within 60s
expect views <= 2 on all
