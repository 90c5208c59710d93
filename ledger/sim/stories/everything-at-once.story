# A bad day: lossy lines, a dead node, a slow disk, a wrong clock, a partition that heals.
network 7 validators 2 followers
start all
line all loss=10% reordered=10%
crash G
disk F slow 100ms
clock E -20s
submit A x 3 as a
run 20s
partition A B C D | E F f1 f2
submit B x 3 as b
run 20s
heal
start G
expect final all within 5min
