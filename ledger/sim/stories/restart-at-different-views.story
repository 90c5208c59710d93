# The nodes died at different times while the view was changing, and come back at different views. They
# must find each other again.
network 4 validators
start all
submit A as one
expect final one within 10s
partition A | B | C | D
submit A as two
run 7s
crash A
run 9s
crash B
run 30s
crash C
run 10s
heal
start all
# The transaction was only in the memory of the node that died; its client sends it again.
again two at B
expect final two within 3min
