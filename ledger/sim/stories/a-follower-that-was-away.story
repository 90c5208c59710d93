# A health centre was offline for an hour.
network 4 validators 1 followers
start all
submit A as one
expect final one within 10s
stop f1
run 1h
submit B as two
expect final two within 30s
start f1
expect same block on all within 60s
