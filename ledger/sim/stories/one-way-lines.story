# The proposer is heard by nobody, though it hears everybody: a line that works in one direction only.
network 4 validators
start all
submit A as one
expect final one within 10s
let mute = proposer
cut mute -> all
submit C as two
submit D as three
run 60s
heal
expect final two three within 60s
