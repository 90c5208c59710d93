# Both feeders are deaf.
#
# A follower keeps connections to two nodes above it. Two of seven may be faulty, and here it is these: they
# are connected, and answer nothing. When no block has come for long, it turns to others as well.
network 7 validators 1 followers
start all
submit A as early
expect final early within 30s
expect ready f1 within 2min
stop f1
liar A deaf
liar B deaf
submit C as missed
expect final missed within 60s
start f1
expect same block on C D E F G f1 within 5min
submit f1 as late
expect final late within 2min
