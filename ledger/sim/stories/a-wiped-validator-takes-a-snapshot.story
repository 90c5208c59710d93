# A validator that lost its disk takes a snapshot.
#
# Nobody has the first blocks any more. It gets the state of now, stays out of the votes until none of its
# own that it has forgotten can be in the way, and then is needed.
network 4 validators validity_window=16 empty_block_interval=1000
configure all keep_blocks=16 archive_blocks=4
start all
run 90s
stop D
wipe D
run 5s
start D
expect same block on all within 2min
expect base > 16 on D
expect ready D within 60s
crash A
submit D as late
expect final late within 60s
