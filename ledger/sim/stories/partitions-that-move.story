# The network is never whole, and falls apart in another way every few seconds.
network 7 validators
start all
partition A B C D E | F G
submit A as one
run 8s
partition C D E F G | A B
submit C as two
run 8s
partition A C E G B | D F
submit E as three
run 8s
partition A B C | D E F G
submit G as four
run 8s
heal
expect final all within 90s
