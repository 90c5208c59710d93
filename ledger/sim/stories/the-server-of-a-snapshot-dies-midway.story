# The server of a snapshot dies midway.
#
# The lines are thin, so that a snapshot takes a while; of the nodes that it comes from, one dies and one is
# cut off before it is whole. The rest comes from those who are left, and nothing twice.
network 4 validators 1 followers validity_window=16 empty_block_interval=1000
configure A B C D keep_blocks=16 archive_blocks=4
start A B C D
run 90s
expect base > 16 on A B C D
line all rate=64kbit/s delay=100ms
start f1
expect reason f1 "taking a snapshot" within 30s
power-off A
run 500ms
cut f1 | B
expect same block on C D f1 within 5min
expect base > 16 on f1
start A
heal
submit f1 as late
expect final late within 2min
