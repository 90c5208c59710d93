# The proposer alone is cut off. The others take another one, and it does not disturb them when it is
# back.
network 4 validators
start all
submit A as one
expect final one within 10s
let lost = proposer
cut lost | all
run 3s
submit A as two
submit C as three
run 40s
heal
expect same block on all within 60s
