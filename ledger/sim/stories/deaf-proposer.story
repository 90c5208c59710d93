# The proposer is heard by everybody and hears nobody.
network 4 validators
start all
submit A as one
expect final one within 10s
let deaf = proposer
cut all -> deaf
submit C as two
submit D as three
run 60s
heal
expect final two three within 60s
