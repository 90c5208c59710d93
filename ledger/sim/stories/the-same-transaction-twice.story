# A client that got no answer sends again to another hospital. It is recorded once.
network 4 validators
start all
submit A as one
again one at B
again one at C
expect final one within 20s
again one at D
run 5s
audit
