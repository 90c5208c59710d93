# A node loses power in the middle of a block, with half of the write on the disk.
network 4 validators
start all
submit A as one
expect final one within 10s
crash C mid-commit part after 1
submit A as two
expect final two within 10s
run 5s
start C
submit C as three
expect final three within 20s
