# False snapshots where there is nothing else.
#
# All have forgotten the first blocks, so that a newcomer has no choice. A liar spoils every piece of the
# snapshots that it gives. The newcomer names it, and takes the others' pieces.
network 4 validators 1 followers validity_window=16 empty_block_interval=1000
configure all keep_blocks=16 archive_blocks=4
start A B C D
run 90s
expect base > 16 on A B C D
liar B false-snapshots
start f1
expect same block on A C D f1 within 5min
expect base > 16 on f1
expect told B false-snapshots
submit f1 as late
expect final late within 60s
