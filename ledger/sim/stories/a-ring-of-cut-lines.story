# Each hospital has lost its line to one other: no two have the same view of who is there, but a quorum
# can still talk through those it reaches.
network 4 validators
start all
cut A | B
cut C | D
submit A as one
submit C as two
run 60s
heal
expect final one two within 60s
