# Back after years, to other validators.
#
# D was away while all others forgot what it missed and two validators were exchanged by vote. It comes back by
# a snapshot that nobody it knew as a validator has certified alone, follows, is given its vote back, and is
# needed at once.
network 6 validators validity_window=16 empty_block_interval=1000
configure all keep_blocks=16 archive_blocks=4
start all
run 10s
vote validators A B C D in 6 blocks
run 30s
stop D
run 20s
vote validators A B C E in 6 blocks
run 60s
vote validators A C E F in 6 blocks
run 60s
start D
expect same block on all within 2min
expect base > 40 on D
expect ready D within 60s
vote validators A C E D in 6 blocks
run 30s
crash E
submit D as late
expect final late within 60s
