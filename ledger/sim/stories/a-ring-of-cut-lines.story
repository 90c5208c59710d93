# A ring of cut lines.
# Two lines are cut so that everybody still reaches two others, a quorum each, but no three can all
# talk to each other. The protocol promises progress only where a quorum can; nothing is decided, and
# when one of the two lines is back it goes on.
network 4 validators
start all
submit B as before
expect final before within 20s
cut A | B
cut C | D
submit A as one
submit C as two
run 60s
heal
cut A | B
expect final one two within 3min
