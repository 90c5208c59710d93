# Seven hospitals on three islands: nobody has a quorum, and when the ferries run again it goes on.
network 7 validators
start all
partition A B C | D E | F G
submit A as one
submit D as two
submit F as three
expect standstill for 60s
heal
expect final all within 90s
