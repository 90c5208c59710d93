# A disk is full while a snapshot comes.
#
# The newcomer says so and waits. When there is room, it goes on with what it has.
network 4 validators 1 followers validity_window=16 empty_block_interval=1000
configure A B C D keep_blocks=16 archive_blocks=4
start A B C D
run 90s
line all rate=64kbit/s delay=100ms
start f1
expect reason f1 "taking a snapshot" within 30s
disk f1 full
run 20s
expect height = 0 on f1
disk f1 room
expect same block on all within 5min
expect base > 16 on f1
submit f1 as late
expect final late within 2min
