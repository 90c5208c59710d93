# A newcomer among nodes that forget.
#
# Three hospitals keep the newest blocks alone, and the fourth installs its server when the first are gone
# everywhere. It takes the state as a snapshot, and votes when it is needed.
network 4 validators validity_window=16 empty_block_interval=1000
configure A B C keep_blocks=16 archive_blocks=4
start A B C
submit A as early
expect final early within 30s
run 90s
expect base > 16 on A B C
start D
expect same block on all within 2min
expect base > 16 on D
run 10s
crash C
submit D as late
expect final late within 60s
