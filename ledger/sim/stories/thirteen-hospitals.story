# Thirteen validators lose four of them at once, the most that may fail, and go on with the other nine.
network 13 validators
start all
submit A as one
expect final one within 30s
crash J K L M
submit B x 3 as two
expect final all within 60s
start J K L M
expect same block on all within 60s
