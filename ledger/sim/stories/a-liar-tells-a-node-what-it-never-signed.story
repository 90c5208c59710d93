# A node that starts asks the others what it has signed. One of them invents things. Only signatures
# count, so the node comes back into its vote.
network 4 validators
start all
submit A x 3 as one
expect final all within 30s
liar D false-statements
restart A
run 5s
crash B
submit A as two
settle
expect final all within 60s
expect told D false-statements
