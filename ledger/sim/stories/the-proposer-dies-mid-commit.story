# The proposer's power fails while it stores its own block.
# Whatever part of the write reached the disk, it comes back at a block boundary and agrees.
network 4 validators
start all
submit B as first
expect final first within 10s
let dead = proposer
crash dead mid-commit garbled
submit A as second
expect final second within 20s
run 5s
start dead
expect same block on all within 30s
