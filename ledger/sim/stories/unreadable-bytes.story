# A member sends bytes that are no message. It loses its connection each time, and the others lose
# nothing.
network 4 validators proposer_term=1
start all
liar D unreadable
submit A x 10 as one
run 20s
expect final all within 60s
expect told D unreadable
