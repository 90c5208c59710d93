# The power fails while blocks are pruned.
#
# Again and again, at one transaction after the other and with all that a disk may leave of one. What was
# archived is archived, what is here is whole, and the node goes on where it was.
network 4 validators validity_window=16 empty_block_interval=1000
configure A keep_blocks=16 archive_blocks=4
start all
submit B as early
expect final early within 30s
run 40s
crash A mid-commit nothing after 7
expect down A within 60s
start A
run 7s
crash A mid-commit part after 11
expect down A within 60s
start A
run 7s
crash A mid-commit garbled after 16
expect down A within 60s
start A
run 7s
crash A mid-commit whole after 21
expect down A within 60s
start A
run 7s
crash A mid-commit part after 2
expect down A within 60s
start A
run 30s
expect same block on all within 2min
expect base > 16 on A
submit A as late
expect final late within 60s
settle
audit
