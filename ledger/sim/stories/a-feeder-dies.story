# A health centre that feeds others dies; those it fed climb on to the next.
network 4 validators 22 followers
start all
run 15s
crash f1 f2
submit f20 as t
expect final t within 60s
expect height >= 1 on f17 f18 f19 f20 f21 f22 within 60s
start f1 f2
