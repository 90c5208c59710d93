# An idle night still makes blocks.
# With nothing to do an empty block comes every half minute, so the newest root stays fresh and a
# dead proposer does not go unnoticed.
network 4 validators
start all
run 5min
expect height >= 8 on all
expect height <= 14 on all
expect views = 0 on all
