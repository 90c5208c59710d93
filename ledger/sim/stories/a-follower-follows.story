# A health centre that does not vote has the same chain, and what it submits becomes final.
network 4 validators 2 followers
start all
submit f1 x 3 as f
expect final all within 20s
expect same block on all within 10s
