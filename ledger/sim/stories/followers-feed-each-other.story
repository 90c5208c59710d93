# Of many health centres only the first are fed by validators; the rest by each other. What the last of
# them submits still becomes final.
network 4 validators 24 followers
start all
run 15s
submit f24 as last
submit f1 as first
expect final all within 60s
expect same block on all within 30s
