# A rolling update: each node is stopped and started again, one after the other, with clients writing.
network 4 validators
start all
submit A as zero
expect final zero within 20s
stop A
submit B x 3 as one
expect final all within 20s
start A
expect same block on all within 20s
stop B
submit C x 3 as two
expect final all within 20s
start B
expect same block on all within 20s
stop C
submit D x 3 as three
expect final all within 20s
start C
expect same block on all within 20s
stop D
submit A x 3 as four
expect final all within 20s
start D
expect same block on all within 20s
