# A member asks for the next view every moment. One alone changes nothing.
network 4 validators
start all
liar D rush
submit A x 5 as one
expect final all within 60s
expect told D rush within 10s
submit B x 5 as two
expect final all within 30s
expect views <= 2 on A B C
