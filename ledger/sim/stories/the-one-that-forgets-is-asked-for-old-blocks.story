# The one that forgets is asked for old blocks.
#
# Only A keeps little, and it is a newcomer's first neighbour. The newcomer asks the others and has the whole
# history afterwards: that one member has forgotten is no reason for it to do without.
network 4 validators 1 followers validity_window=16 empty_block_interval=1000
configure A keep_blocks=16 archive_blocks=4
start A B C D
submit B as early
expect final early within 30s
run 90s
expect base > 16 on A
expect base = 0 on B C D
start f1
expect same block on all within 2min
expect base = 0 on f1
again early at f1
submit f1 as late
expect final late within 60s
audit
