# After an hour without a quorum the first block comes soon: the back-off of the views is capped.
network 4 validators
start all
partition A B | C D
run 1h
submit A as one
heal
expect final one within 150s
