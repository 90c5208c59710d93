# A member sends bad signatures, questions without end, old words, and what others have said. Memory
# stays bounded and blocks go on.
network 4 validators
start all
submit A as before
expect final before within 10s
liar D spam replay impersonate bad-gossip
submit A x 5 as one
run 20s
submit B x 5 as two
expect final all within 60s
expect told D spam
expect told D replay
expect told D impersonate
