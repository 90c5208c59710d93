# A seventh hospital is given a vote by a vote.
network 7 validators
start all
vote validators A B C D E F in 6 blocks
submit A x 8 as a
expect final all within 60s
run 4min
vote validators A B C D E F G in 6 blocks
run 4min
submit G as g
expect final g within 30s
audit
