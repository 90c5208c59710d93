# The power fails while a snapshot is fetched and adopted.
#
# At different transactions of a newcomer: what had come is on its disk, and the snapshot is there whole or
# not at all.
network 4 validators 1 followers validity_window=16 empty_block_interval=1000
configure A B C D keep_blocks=16 archive_blocks=4
start A B C D
run 90s
crash f1 mid-commit part after 3
start f1
expect down f1 within 60s
crash f1 mid-commit garbled after 6
start f1
expect down f1 within 60s
crash f1 mid-commit whole after 9
start f1
expect down f1 within 60s
crash f1 mid-commit nothing after 12
start f1
expect down f1 within 60s
start f1
expect same block on all within 2min
expect base > 16 on f1
submit f1 as late
expect final late within 60s
